set local lock_timeout = {limit}
