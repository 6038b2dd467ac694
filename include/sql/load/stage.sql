-- The staging table of one target: typed like it, emptied by each commit.
create temporary table if not exists {stage} ({definitions}) on commit delete rows
