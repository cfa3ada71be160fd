-- One row per extracted event, with what the rules ask about it.
-- is_bot, is_busy: its customer has too many events, ever or on its day.
-- is_flooding: its customer had, in one period of $period_days days, more events than max_period_events, and more by
-- flood_factor than 95 in 100 customers with any event have in a period.
-- is_repeating: its customer had this product, in one period of $period_days days, more often than max_repeats, and more
-- often by repeat_factor than all but a thousandth of the shop's customers have any product.
-- is_pushing: its customer is one of at least pushed_customers who, in one period, made the product a good part
-- (pushed_share) of all they did, had it unusually often, and made most of the product's events together. What many
-- different customers take up, each a few times, is no push, however fast it grows.
-- is_double: the same content stood before under another id, on a day on which far more rows than usual do.
with limits as (
    select * from contract_limits
),

of_customers as (
    select
        user_id,
        item_id,
        event_type,
        cast(occurred_at as date) as day,
        cast(floor(epoch(occurred_at) / 86400 / limits.period_days) as integer) as period
    from extracted_events
    cross join limits
    where user_id is not null and occurred_at <= limits.latest_allowed
),

bots as (
    select user_id
    from of_customers
    group by user_id
    having count(*) > (select max_user_events from limits)
),

busy as (
    select
        user_id,
        day
    from of_customers
    group by user_id, day
    having count(*) > (select max_user_events_a_day from limits)
),

paces as materialized (
    select
        user_id,
        count(*) as times
    from of_customers
    group by user_id, period
),

flooding as (
    select distinct paces.user_id
    from paces
    cross join limits
    cross join (select quantile_disc(times, 0.95) as often from paces) as usual_pace
    where paces.times > greatest(limits.max_period_events, limits.flood_factor * usual_pace.often)
),

pairs as materialized (
    select
        user_id,
        item_id,
        event_type,
        period,
        count(*) as times
    from of_customers
    where item_id is not null
    group by user_id, item_id, event_type, period
),

usual as (
    select
        event_type,
        quantile_disc(times, 0.99) as often,
        quantile_disc(times, 0.999) as rarely
    from pairs
    group by event_type
),

repeating as (
    select distinct
        pairs.user_id,
        pairs.item_id
    from pairs
    inner join usual on pairs.event_type = usual.event_type
    cross join limits
    where pairs.times > greatest(limits.max_repeats, limits.repeat_factor * usual.rarely)
),

own as (
    select
        user_id,
        period,
        sum(times) as times
    from pairs
    group by user_id, period
),

keen as (
    select
        pairs.*,
        pairs.times >= limits.pushed_repeats
        and pairs.times > usual.often
        and pairs.times >= limits.pushed_share * own.times as is_keen
    from pairs
    inner join usual on pairs.event_type = usual.event_type
    inner join own on pairs.user_id = own.user_id and pairs.period = own.period
    cross join limits
),

pushed as (
    select
        item_id,
        event_type,
        period
    from keen
    group by item_id, event_type, period
    having
        count(*) filter (is_keen) >= (select pushed_customers from limits)
        and coalesce(sum(times) filter (is_keen), 0) > 0.5 * sum(times)
),

pushing as (
    select distinct
        keen.user_id,
        keen.item_id
    from keen
    inner join pushed
        on keen.item_id = pushed.item_id
        and keen.event_type = pushed.event_type
        and keen.period = pushed.period
    where keen.is_keen
),

stamped as (
    select
        *,
        cast(occurred_at as date) as day,
        hash(user_id, item_id, event_type, occurred_at, quantity, value, basket_id, market) as content
    from extracted_events
),

repeated as materialized (
    select
        content,
        min(event_id) as first_id
    from stamped
    where occurred_at is not null
    group by content
    having count(distinct event_id) > 1
),

days as materialized (
    select
        stamped.day,
        count(*) as rows,
        count(*) filter (stamped.event_id > repeated.first_id) / count(*) as share
    from stamped
    left join repeated on stamped.content = repeated.content
    where stamped.day is not null
    group by stamped.day
),

doubled_days as (
    select days.day
    from days
    cross join limits
    where
        days.rows >= limits.min_day_rows
        and days.share > limits.max_doubled_share
        and days.share > 3 * (select median(share) from days)
)

select
    events.* exclude (day, content),
    items.item_id is not null as has_item,
    users.user_id is not null as has_user,
    bots.user_id is not null as is_bot,
    busy.user_id is not null as is_busy,
    flooding.user_id is not null as is_flooding,
    repeating.user_id is not null as is_repeating,
    pushing.user_id is not null as is_pushing,
    coalesce(doubled_days.day is not null and events.event_id > repeated.first_id, false) as is_double,
    row_number() over (
        partition by events.event_id
        order by
            events.occurred_at,
            events.user_id,
            events.item_id,
            events.event_type,
            events.known_at,
            events.quantity,
            events.value,
            events.basket_id,
            events.market
    ) as nth_of_id,
    coalesce(users.bucket, -1) as bucket
from stamped as events
left join valid_items as items on events.item_id = items.item_id
left join valid_users as users on events.user_id = users.user_id
left join bots on events.user_id = bots.user_id
left join flooding on events.user_id = flooding.user_id
left join busy on events.user_id = busy.user_id and events.day = busy.day
left join repeating on events.user_id = repeating.user_id and events.item_id = repeating.item_id
left join pushing on events.user_id = pushing.user_id and events.item_id = pushing.item_id
left join repeated on events.content = repeated.content
left join doubled_days on events.day = doubled_days.day
