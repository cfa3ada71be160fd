-- One row per customer, in the order of their dense index: customers of one bucket stand together.
select
    cast(row_number() over (order by bucket, user_id) - 1 as integer) as user_idx,
    user_id,
    cast(bucket as smallint) as bucket,
    coalesce(is_personalised, true) as is_personalised,
    coalesce(attributes ->> 'segment', 'unknown') as segment,
    coalesce(attributes, '') as attributes
from valid_users
order by user_idx
