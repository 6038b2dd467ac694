update intra42.legs
set
  after = %(after)s,
  highest = %(highest)s,
  page = %(page)s,
  done = %(done)s,
  clock = least(clock, %(clock)s),
  answered = answered or %(answered)s
where job_id = %(job_id)s and number = %(number)s
