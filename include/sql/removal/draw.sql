-- A number that no request has: what an earlier one shows stays away, a later one brings it back.
select nextval('intra42.request_seq')
