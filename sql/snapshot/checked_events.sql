-- One row per extracted event, with the first rule it breaks (null: none).
with bots as (
    select user_id
    from extracted_events
    where user_id is not null and occurred_at <= $latest_allowed
    group by user_id
    having count(*) > $max_user_events
)

select
    events.*,
    case
        when events.event_id is null then 'event_id is missing'
        when events.occurred_at is null then 'occurred_at is missing'
        when events.occurred_at > $latest_allowed then 'occurred_at lies in the future'
        when events.event_type is null or events.event_type not in (select unnest($event_types))
            then 'event_type is not one of the known types'
        when items.item_id is null and (events.event_type <> 'search' or events.item_id is not null)
            then 'item_id is not in items'
        when events.user_id is not null and users.user_id is null then 'user_id is not in users'
        when events.event_type in ('purchase', 'return') and not (events.quantity > 0 and isfinite(events.quantity))
            then 'quantity is not a positive number'
        when events.value is not null and not isfinite(events.value) then 'value is not a number'
        when
            events.event_type in ('rating', 'review')
            and (events.value < $rating_min or events.value > $rating_max)
            then 'rating is out of range'
        when bots.user_id is not null then 'customer has more events than a person can make'
        when row_number() over (
            partition by events.event_id order by events.occurred_at, events.user_id, events.item_id
        ) > 1 then 'event_id stands twice'
    end as rule
from extracted_events as events
left join valid_items as items on events.item_id = items.item_id
left join valid_users as users on events.user_id = users.user_id
left join bots on events.user_id = bots.user_id
