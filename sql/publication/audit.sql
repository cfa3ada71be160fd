-- Run by DuckDB over what was read back from the warehouse (stored_rows, and list_facts made of it) and the items that a
-- run knows (known_items).
-- grain: one row per rule that may be broken; failures 0 when it holds
with
subjects as (
    select
        subject_id,
        count(*) as bucket_count,
        min(bucket) as first_bucket,
        max(bucket) as last_bucket,
        subject_id = '*' or starts_with(subject_id, 'segment:') as is_default
    from list_facts
    group by subject_id
),

items as (
    select named.item_id, known_items.item_id is not null as known, known_items.recommendable
    from (select distinct item_id from stored_rows where item_id is not null) as named
    left join known_items on known_items.item_id = named.item_id
)

select 'ranks' as rule, count(*) as failures, min(subject_id, 3) as examples
from list_facts
where rank_count <> row_count or first_rank <> 1 or last_rank <> row_count
union all
select 'repeats', count(*), min(subject_id, 3)
from list_facts
where coalesce(item_count, 0) < row_count
union all
select 'unknown_items', count(*), min(item_id, 3)
from items
where not known
union all
select 'barred_items', count(*), min(item_id, 3)
from items
where known and recommendable is distinct from true
union all
select 'incomplete', coalesce(sum(incomplete_count), 0), min(subject_id, 3)
from list_facts
where incomplete_count > 0
union all
select 'propensities', coalesce(sum(propensity_count), 0), min(subject_id, 3)
from list_facts
where propensity_count > 0
union all
select 'buckets', count(*), min(subject_id, 3)
from subjects
where
    bucket_count > 1
    or (is_default and first_bucket <> -1)
    or (not is_default and (first_bucket < 0 or last_bucket > 4095))
union all
select 'no_default', cast(count(*) = 0 as integer), []
from list_facts
where bucket = -1 and subject_id = '*'
union all
select 'short', count(*), min(subject_id, 3)
from list_facts
where row_count < $items
