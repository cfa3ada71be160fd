-- One row per extracted event, with what the rules ask about it; the tables of suspects.sql tell most of it.
-- is_bot, is_busy: its customer has too many events, ever or on its day.
-- is_flooding: its customer had, in one period of $period_days days, more events than max_period_events, and more by
-- flood_factor than 95 in 100 customers with any event have in a period.
-- is_repeating: its customer had this product, in one period of $period_days days, more often than max_repeats, and more
-- often by repeat_factor than all but a thousandth of the shop's customers have any product.
-- is_pushing: its customer is one of at least pushed_customers who, in one period, made the product a good part
-- (pushed_share) of all they did, had it unusually often, and made most of the product's events together. What many
-- different customers take up, each a few times, is no push, however fast it grows.
-- is_double: the same content stood before under another id, on a day on which far more rows than usual do.
with single as (
    select
        *,
        1 as nth_of_id
    from stamped_events
    where id not in (select id from repeated_ids)
),

several as (
    select
        *,
        row_number() over (
            partition by event_id
            order by
                occurred_at,
                user_id,
                item_id,
                event_type,
                known_at,
                quantity,
                value,
                basket_id,
                market
        ) as nth_of_id
    from stamped_events
    where id in (select id from repeated_ids)
),

numbered as (
    select *
    from single

    union all

    select *
    from several
)

select
    events.* exclude (id, day, content, nth_of_id),
    items.item_id is not null as has_item,
    users.user_id is not null as has_user,
    bots.user_id is not null as is_bot,
    busy_days.user_id is not null as is_busy,
    flooding_customers.user_id is not null as is_flooding,
    repeating_pairs.user_id is not null as is_repeating,
    pushing_pairs.user_id is not null as is_pushing,
    coalesce(doubled_days.day is not null and events.event_id > repeated_contents.first_id, false) as is_double,
    events.nth_of_id,
    coalesce(users.bucket, -1) as bucket
from numbered as events
left join valid_items as items on events.item_id = items.item_id
left join valid_users as users on events.user_id = users.user_id
left join active_customers as bots
    on events.user_id = bots.user_id and bots.times > (select max_user_events from contract_limits)
left join busy_days on events.user_id = busy_days.user_id and events.day = busy_days.day
left join flooding_customers on events.user_id = flooding_customers.user_id
left join repeating_pairs on events.user_id = repeating_pairs.user_id and events.item_id = repeating_pairs.item_id
left join pushing_pairs on events.user_id = pushing_pairs.user_id and events.item_id = pushing_pairs.item_id
left join repeated_contents on events.content = repeated_contents.content
left join doubled_days on events.day = doubled_days.day
