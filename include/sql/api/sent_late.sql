-- A request went out so many seconds after it was counted: the second begins when it did.
update intra42.api_limits
set sent = array_replace(sent, %(sent_at)s, %(sent_at)s + make_interval(secs => %(late_s)s))
where application = %(application)s
