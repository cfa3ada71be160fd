-- Run by DuckDB over the lists of a publication (publication_lists): those of the files, or those read back.
-- grain: one row
-- The checksum is a sum over lists, each with its bucket and subject.
select
    coalesce(sum(row_count), 0) as row_count,
    count(distinct subject_id) filter (where bucket >= 0) as user_count,
    coalesce(sum(keyless_count), 0) as keyless_count,
    cast(coalesce(sum(hash(bucket, subject_id, list_hash)), 0) as varchar) as checksum
from publication_lists
