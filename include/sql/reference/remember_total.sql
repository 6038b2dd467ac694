insert into intra42.listing_totals (path, total, seen_at)
values (%(path)s, %(total)s, %(seen_at)s)
on conflict (path) do update set total = excluded.total, seen_at = excluded.seen_at
-- Unless a later answer was first; a time that has not come yet is none.
where intra42.listing_totals.seen_at <= excluded.seen_at
  or intra42.listing_totals.seen_at > excluded.seen_at + interval '1 hour'
