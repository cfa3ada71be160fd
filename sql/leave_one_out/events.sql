-- One row per event of the customers in buckets [$bucket_from, $bucket_to). Guests (-1) have none. What a customer did at
-- one time of the file is one basket.
select
    cast(interactions.file_row as varchar) as event_id,
    users.user_idx,
    items.item_idx,
    interactions.event_type,
    interactions.occurred_at,
    interactions.occurred_at as known_at,
    cast(null as timestamp) as undone_at,
    cast(1 as decimal(18, 3)) as quantity,
    cast(interactions.value as decimal(18, 4)) as value,
    coalesce(interactions.happened_at, interactions.occurred_at)::varchar as basket_id,
    cast(null as varchar) as market
from interactions
inner join snapshot_users as users on interactions.user_id = users.user_id
inner join snapshot_items as items on interactions.item_id = items.item_id
where users.bucket >= $bucket_from and users.bucket < $bucket_to
order by users.user_idx, interactions.occurred_at
