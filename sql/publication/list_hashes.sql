-- Run by DuckDB over the files of a publication.
-- grain: one row per bucket and subject
-- Sums of integers, so the hash does not depend on the order in which threads read; the rank is in it. Another version of
-- DuckDB may hash otherwise: what is stored is then stored once more, by the first publication after the change.
select
    bucket,
    subject_id,
    cast(sum(hash(rank, item_id, score, source, reason, propensity)) % 9223372036854775783 as bigint) as list_hash,
    count(*) as row_count,
    count(*) filter (where bucket is null or subject_id is null or rank is null) as keyless_count
from incoming
group by bucket, subject_id
