select to_regclass('intra42.sync_runs') is not null
