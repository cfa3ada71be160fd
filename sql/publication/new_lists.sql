-- Run by DuckDB: the lists that the warehouse does not hold yet.
-- grain: one row per bucket and subject
select bucket, subject_id, list_hash
from list_hashes
anti join stored_lists using (subject_id, list_hash)
