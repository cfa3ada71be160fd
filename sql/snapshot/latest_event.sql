-- One row: when the first and the newest plausible events occurred, and how many rows there are.
-- Not plausible is what the contracts (sql/contracts/) put into quarantine; what only many rows of several customers
-- together show is left to them. NaN is greater than any number in both engines.
with bots as (
    select user_id
    from shop.events
    where user_id is not null and occurred_at <= :latest_allowed
    group by user_id
    having count(*) > :max_user_events
),

busy as (
    select
        user_id,
        cast(occurred_at as date) as day
    from shop.events
    where user_id is not null and occurred_at <= :latest_allowed
    group by user_id, cast(occurred_at as date)
    having count(*) > :max_user_events_a_day
),

plausible as (
    select events.occurred_at
    from shop.events as events
    left join shop.items as items on events.item_id = items.item_id
    left join shop.users as users on events.user_id = users.user_id
    left join bots on events.user_id = bots.user_id
    left join busy on events.user_id = busy.user_id and cast(events.occurred_at as date) = busy.day
    where
        events.event_id is not null
        and events.occurred_at <= :latest_allowed
        and events.event_type in (
            'view', 'cart', 'purchase', 'return', 'rating', 'review', 'search', 'impression', 'click', 'dismiss'
        )
        and (items.item_id is not null or (events.event_type = 'search' and events.item_id is null))
        and (users.user_id is not null or events.user_id is null)
        and (
            events.event_type not in ('purchase', 'return')
            or (events.quantity > 0 and events.quantity < 1e300)
        )
        and (events.value is null or (events.value > -1e300 and events.value < 1e300))
        and (
            events.event_type not in ('rating', 'review')
            or events.value is null
            or (events.value >= :rating_min and events.value <= :rating_max)
        )
        and bots.user_id is null
        and busy.user_id is null
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
