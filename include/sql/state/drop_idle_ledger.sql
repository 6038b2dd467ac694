-- An attempt that neither talked to the API nor changed anything leaves no row.
delete from intra42.sync_runs
where id = %(id)s and requests = 0 and inserted + updated + deleted + parked = 0
