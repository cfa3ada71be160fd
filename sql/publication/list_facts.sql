-- Run by DuckDB over what was read back from the warehouse (stored_rows): one pass finds what the audit asks of a list.
-- grain: one row per bucket and subject
-- list_hash is worked out as in list_hashes.sql.
select
    bucket,
    subject_id,
    cast(sum(hash(rank, item_id, score, source, reason, propensity)) % 9223372036854775783 as bigint) as list_hash,
    count(*) as row_count,
    count(*) filter (where bucket is null or subject_id is null or rank is null) as keyless_count,
    min(rank) as first_rank,
    max(rank) as last_rank,
    list_unique(list(rank)) as rank_count,
    list_unique(list(hash(item_id)) filter (where item_id is not null)) as item_count,
    count(*) filter (
        where
            item_id is null
            or score is null
            or not isfinite(score)
            or source is null
            or trim(source) = ''
            or reason is null
            or trim(reason) = ''
    ) as incomplete_count,
    count(*) filter (where not (propensity > 0 and propensity <= 1)) as propensity_count
from stored_rows
group by bucket, subject_id
