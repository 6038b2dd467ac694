update intra42.jobs
set clock = least(clock, %(clock)s), answered = answered or %(answered)s
where dag_id = %(dag_id)s and resource = %(resource)s and finished_at is null
  and kind in ('first', 'full')
