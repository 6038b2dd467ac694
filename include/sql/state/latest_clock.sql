-- The API's clock as it was heard last, in any run. Not the latest of all: one `Date` that was years
-- ahead would be it for ever.
select coalesce((select clock from intra42.last_heard), now())
