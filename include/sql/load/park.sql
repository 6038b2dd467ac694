insert into intra42.parked_records as p
  (resource, id, fingerprint, payload, reason, run_id, first_seen_at, last_seen_at, last_run_id, seq)
values
  (%(resource)s, %(id)s, %(fingerprint)s, %(payload)s, %(reason)s, %(run_id)s, %(seen_at)s,
   %(seen_at)s, %(run_id)s, %(seq)s)
on conflict (resource, fingerprint) do update set
  payload = excluded.payload,
  reason = excluded.reason,
  seq = excluded.seq,
  last_seen_at = excluded.last_seen_at,
  -- A retry of this run has already been counted.
  attempts = p.attempts + (p.last_run_id <> excluded.last_run_id)::integer,
  last_run_id = excluded.last_run_id
