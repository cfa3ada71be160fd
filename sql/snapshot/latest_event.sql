-- One row: when the first and the newest plausible events occurred, and how many rows there are.
-- An event of an unknown product or type, or one later than the clock allows, is not plausible.
with plausible as (
    select events.occurred_at
    from shop.events as events
    inner join shop.items as items on events.item_id = items.item_id
    where
        events.occurred_at <= :latest_allowed
        and events.event_type in (
            'view', 'cart', 'purchase', 'return', 'rating', 'review', 'search', 'impression', 'click', 'dismiss'
        )
),

counted as (
    select count(*) as all_rows
    from shop.events
)

select
    counted.all_rows,
    min(plausible.occurred_at) as first_at,
    max(plausible.occurred_at) as newest_at
from counted
left join plausible on true
group by counted.all_rows
