-- One row per customer, in the order of their dense index: customers of one bucket stand together.
select
    cast(row_number() over (order by bucket, user_id) - 1 as integer) as user_idx,
    user_id,
    bucket,
    true as is_personalised,
    'unknown' as segment,
    '' as attributes
from (
    select distinct
        user_id,
        {bucket} as bucket
    from interactions
)
order by user_idx
