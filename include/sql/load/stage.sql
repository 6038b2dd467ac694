-- The staging table of one target: typed like it, with the answer that showed each row; emptied by
-- each commit.
create temporary table if not exists {stage} (
  {definitions},
  _synced_at timestamp with time zone,
  _seq bigint
) on commit delete rows
