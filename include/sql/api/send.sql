-- Count the request and draw its number right before it is sent; seq is null during a pause.
select seq, pause_s from intra42.send_request(%(application)s, %(run_id)s, %(now)s, %(api_now)s)
