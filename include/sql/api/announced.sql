-- The limits that the API has announced to anybody with this application.
select per_second, per_hour from intra42.api_limits where application = %(application)s
