-- One row per event of the customers in buckets [$bucket_from, $bucket_to); -1 holds the guests.
-- undone_at: when a return that takes this purchase back became known. Returns of one product by one customer take
-- back one purchase each, in the order in which they became known: the newest before it, and known by then, that is
-- not taken back yet. So nothing that became known later changes what an earlier cut saw.
with recursive part as (
    select *
    from valid_events
    where bucket >= $bucket_from and bucket < $bucket_to
),

returnable as (
    select
        purchases.user_id,
        purchases.item_id,
        returns.event_id as return_id,
        greatest(returns.known_at, returns.occurred_at) as undone_at,
        list(purchases.event_id order by purchases.occurred_at desc, purchases.event_id desc) as purchase_ids
    from (select * from part where event_type = 'return' and user_id is not null) as returns
    inner join (select * from part where event_type = 'purchase') as purchases
        on returns.user_id = purchases.user_id
        and returns.item_id = purchases.item_id
        and returns.occurred_at >= purchases.occurred_at
        and returns.known_at >= purchases.known_at
    group by all
),

numbered as (
    select
        *,
        row_number() over (partition by user_id, item_id order by undone_at, return_id) as nth
    from returnable
),

-- Each step settles the next return of every customer and product; taken holds what the ones before it took back.
settled as (
    select
        user_id,
        item_id,
        nth,
        undone_at,
        purchase_ids[1] as event_id,
        [purchase_ids[1]] as taken
    from numbered
    where nth = 1

    union all

    select
        numbered.user_id,
        numbered.item_id,
        numbered.nth,
        numbered.undone_at,
        list_filter(numbered.purchase_ids, lambda id: not list_contains(settled.taken, id))[1] as event_id,
        list_append(
            settled.taken, list_filter(numbered.purchase_ids, lambda id: not list_contains(settled.taken, id))[1]
        ) as taken
    from settled
    inner join numbered
        on settled.user_id = numbered.user_id
        and settled.item_id = numbered.item_id
        and settled.nth + 1 = numbered.nth
),

returned as (
    select
        event_id,
        undone_at
    from settled
    where event_id is not null
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
    -- A rating without a value is no rating of zero.
    cast(
        case when part.event_type in ('rating', 'review') then part.value else coalesce(part.value, 0) end
        as decimal(18, 4)
    ) as value,
    part.basket_id,
    part.market
from part
left join snapshot_users as users on part.user_id = users.user_id
left join snapshot_items as items on part.item_id = items.item_id
left join returned on part.event_id = returned.event_id
order by users.user_idx, part.occurred_at, part.event_id
