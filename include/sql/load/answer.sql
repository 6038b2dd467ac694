-- Which request showed a staged row, and the API's clock in its answer.
cross join lateral (
  select
    (%(answer_seqs)s::bigint[])[staged._answer] as seq,
    (%(answer_dates)s::timestamptz[])[staged._answer] as date
) as answer
