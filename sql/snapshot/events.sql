-- One row per event of the customers in buckets [$bucket_from, $bucket_to); -1 holds the guests.
-- undone_at: when a return that takes this purchase back became known. It takes back the newest purchase before it
-- that was known by then: one that became known later must not change what an earlier cut saw.
with part as (
    select *
    from valid_events
    where bucket >= $bucket_from and bucket < $bucket_to
),

candidates as (
    select
        purchases.event_id,
        greatest(returns.known_at, returns.occurred_at) as undone_at,
        row_number() over (
            partition by returns.event_id order by purchases.occurred_at desc, purchases.event_id desc
        ) as age
    from (select * from part where event_type = 'return' and user_id is not null) as returns
    inner join (select * from part where event_type = 'purchase') as purchases
        on returns.user_id = purchases.user_id
        and returns.item_id = purchases.item_id
        and returns.occurred_at >= purchases.occurred_at
        and returns.known_at >= purchases.known_at
),

returned as (
    select
        event_id,
        min(undone_at) as undone_at
    from candidates
    where age = 1
    group by event_id
)

select
    part.event_id,
    users.user_idx,
    items.item_idx,
    part.event_type,
    part.occurred_at,
    part.known_at,
    returned.undone_at,
    cast(coalesce(part.quantity, 1) as decimal(18, 3)) as quantity,
    cast(coalesce(part.value, 0) as decimal(18, 4)) as value,
    part.basket_id,
    part.market
from part
left join snapshot_users as users on part.user_id = users.user_id
left join snapshot_items as items on part.item_id = items.item_id
left join returned on part.event_id = returned.event_id
order by users.user_idx, part.occurred_at, part.event_id
