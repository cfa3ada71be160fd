-- One row per customer of buckets [$bucket_from, $bucket_to) of a snapshot (users, items, and events of these buckets):
-- what differs from another snapshot's wherever anything differs that they say of the customer.
with told as (
    select
        events.user_idx,
        count(*) as event_count,
        -- Sums of integers: the order of the rows doesn't matter.
        sum(
            hash(
                events.event_id,
                items.item_id,
                events.event_type,
                events.occurred_at,
                events.known_at,
                events.undone_at,
                events.quantity,
                events.value,
                events.basket_id,
                events.market
            )
        ) as event_sum
    from events
    left join items on events.item_idx = items.item_idx
    group by events.user_idx
)

select
    users.user_id,
    hash(users.is_personalised, users.attributes, coalesce(told.event_count, 0), told.event_sum) as digest
from users
left join told on users.user_idx = told.user_idx
where users.bucket >= $bucket_from and users.bucket < $bucket_to
