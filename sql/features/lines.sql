-- One row per event of the types in $event_types with a weight above 0 that was known before the cut, guests' purchases
-- included (user_idx -1), in the order of customer, time and product. basket: dense number of what was turned to
-- together, ascending within a customer; age: days before the cut. Purchases that were taken back don't count.
with known as (
    select
        events.user_idx,
        events.item_idx,
        events.event_type,
        events.occurred_at,
        events.basket_id,
        cuts.cut_at
    from events
    inner join cuts on events.user_idx = cuts.subject_id
    where
        events.item_idx is not null
        and events.occurred_at < cuts.cut_at
        and events.known_at < cuts.cut_at
        and (events.event_type <> 'purchase' or events.undone_at is null or events.undone_at >= cuts.cut_at)

    union all

    select
        -1 as user_idx,
        guest_events.item_idx,
        guest_events.event_type,
        guest_events.occurred_at,
        guest_events.basket_id,
        $cut_at::timestamp as cut_at
    from guest_events
    where
        guest_events.event_type = 'purchase'
        and guest_events.basket_id is not null
        and guest_events.item_idx is not null
        and guest_events.occurred_at < $cut_at
        and guest_events.known_at < $cut_at
),

weighted as (
    select
        unnest($event_types::varchar []) as event_type,
        unnest($event_weights::double []) as weight
),

together as (
    select
        known.*,
        weighted.weight,
        -- A customer's events without a basket belong together where they happened at one moment.
        min(known.occurred_at) over (
            partition by known.user_idx, coalesce(known.basket_id, known.occurred_at::varchar)
        ) as basket_at
    from known
    inner join weighted on known.event_type = weighted.event_type
    where weighted.weight > 0
)

select
    user_idx,
    item_idx,
    event_type = 'purchase' as is_purchase,
    cast(weight as float) as weight,
    cast(epoch(cut_at - occurred_at) / 86400.0 as float) as age,
    cast(dense_rank() over (
        order by user_idx, basket_at, coalesce(basket_id, occurred_at::varchar)
    ) - 1 as integer) as basket
from together
order by user_idx, occurred_at, item_idx, event_type, basket
