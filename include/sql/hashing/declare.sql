-- From now on these columns are stored under this key, or in clear text where it is null. What is
-- stored already is rewritten in place where it is to be hashed, and read again where it was hashed
-- before: its clear text is nowhere but in the API. No request has the number drawn here.
with drawn as (
  select
    nextval('intra42.request_seq') as seq,
    (select coalesce(max(version), 0) + 1 from intra42.hashed_columns) as version
)
insert into intra42.hashed_columns as c
  (resource, column_name, fingerprint, from_seq, rewritten_to, reread, version)
select
  chosen.resource, chosen.column_name, %(fingerprint)s, drawn.seq,
  case when %(fingerprint)s::text is not null then -1 end, false, drawn.version
from
  drawn,
  unnest(%(resources)s::text[], %(columns)s::text[]) as chosen (resource, column_name)
on conflict (resource, column_name) do update set
  fingerprint = excluded.fingerprint,
  from_seq = excluded.from_seq,
  rewritten_to = excluded.rewritten_to,
  reread = true,
  version = excluded.version,
  changed_at = now()
