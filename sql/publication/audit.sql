-- Run by DuckDB over what was read back from the warehouse (publication_rows) and the items that a run knows
-- (known_items).
-- grain: one row per rule that may be broken; failures 0 when it holds
with
lists as (
    select
        bucket,
        subject_id,
        count(*) as row_count,
        count(distinct rank) as rank_count,
        min(rank) as first_rank,
        max(rank) as last_rank,
        count(distinct item_id) as item_count
    from publication_rows
    group by bucket, subject_id
),

subjects as (
    select
        subject_id,
        count(*) as bucket_count,
        min(bucket) as first_bucket,
        max(bucket) as last_bucket,
        subject_id = '*' or starts_with(subject_id, 'segment:') as is_default
    from lists
    group by subject_id
),

items as (
    select distinct publication_rows.item_id, known_items.item_id is not null as known, known_items.recommendable
    from publication_rows
    left join known_items on known_items.item_id = publication_rows.item_id
    where publication_rows.item_id is not null
)

select 'ranks' as rule, count(*) as failures, min(subject_id, 3) as examples
from lists
where rank_count <> row_count or first_rank <> 1 or last_rank <> row_count
union all
select 'repeats', count(*), min(subject_id, 3)
from lists
where item_count < row_count
union all
select 'unknown_items', count(*), min(item_id, 3)
from items
where not known
union all
select 'barred_items', count(*), min(item_id, 3)
from items
where known and recommendable is distinct from true
union all
select 'incomplete', count(*), min(subject_id, 3)
from publication_rows
where
    item_id is null
    or score is null
    or not isfinite(score)
    or trim(coalesce(source, '')) = ''
    or trim(coalesce(reason, '')) = ''
union all
select 'propensities', count(*), min(subject_id, 3)
from publication_rows
where propensity is not null and not (propensity > 0 and propensity <= 1)
union all
select 'buckets', count(*), min(subject_id, 3)
from subjects
where
    bucket_count > 1
    or (is_default and first_bucket <> -1)
    or (not is_default and (first_bucket < 0 or last_bucket > 4095))
union all
select 'no_default', cast(count(*) = 0 as integer), []
from lists
where bucket = -1 and subject_id = '*'
union all
select 'short', count(*), min(subject_id, 3)
from lists
where row_count < $items
