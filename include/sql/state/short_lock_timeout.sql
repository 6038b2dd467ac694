set local lock_timeout = '30s'
