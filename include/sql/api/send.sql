-- Count the request and draw its number right before it is sent; seq is null when it has to wait.
select seq, pause_s, gap_s, sent_at
from intra42.send_request(
    %(application)s, %(per_second)s, %(run_id)s, %(now)s, %(api_now)s
)
