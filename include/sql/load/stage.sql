-- The staging table of one target: typed like it, with the place of the answer that showed each row
-- among those that are stored together; emptied by each commit.
create temporary table if not exists {stage} (
  {definitions},
  _answer smallint default 1
) on commit delete rows
