select resource, column_name, fingerprint, from_seq, reread, version
from intra42.hashed_columns
order by resource, column_name
