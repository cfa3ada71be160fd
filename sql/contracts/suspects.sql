-- Makes the tables that tell which of many events break a rule together. What all events are grouped by is a hash of
-- 8 bytes; what its groups suggest is then looked at exactly, in the few rows that it is about.

create or replace temp table event_kinds as
select
    event_type,
    -- So many kinds have a number of their own in the first six bits of a pair.
    cast(least(row_number() over (order by event_type), 63) as ubigint) as kind
from (
    select distinct event_type
    from extracted_events
    where event_type is not null
) as types;

create or replace temp view events_of_customers as
select
    dated.*,
    case
        when dated.item_id is not null
            then
                event_kinds.kind * 288230376151711744
                + (hash(dated.user_id, dated.item_id, dated.event_type, dated.period) >> 6)
    end as pair
from (
    select
        extracted_events.user_id,
        extracted_events.item_id,
        extracted_events.event_type,
        cast(extracted_events.occurred_at as date) as day,
        cast(floor(epoch(extracted_events.occurred_at) / 86400 / limits.period_days) as integer) as period
    from extracted_events
    cross join contract_limits as limits
    where extracted_events.user_id is not null and extracted_events.occurred_at <= limits.latest_allowed
) as dated
left join event_kinds on dated.event_type = event_kinds.event_type;

-- One row per customer with so many events that they may be a bot, or busy on a day.
create or replace temp table active_customers as
select
    user_id,
    count(*) as times
from events_of_customers
group by user_id
having count(*) > (select least(max_user_events, max_user_events_a_day) from contract_limits);

-- One row per customer and day with too many events.
create or replace temp table busy_days as
select
    user_id,
    day
from events_of_customers
where user_id in (select user_id from active_customers)
group by user_id, day
having count(*) > (select max_user_events_a_day from contract_limits);

create or replace temp table counted_periods as
select
    hash(user_id, period) as pace,
    count(*) as times
from events_of_customers
group by pace;

-- One row per customer with far more events in a period than others.
create or replace temp table flooding_customers as
with bound as (
    select
        greatest(
            max_period_events, flood_factor * (select quantile_disc(times, 0.95) from counted_periods)
        ) as most
    from contract_limits
)

select distinct user_id
from (
    select
        user_id,
        period,
        count(*) as times
    from events_of_customers
    where hash(user_id, period) in (select pace from counted_periods where times > (select most from bound))
    group by user_id, period
) as paces
where times > (select most from bound);

drop table counted_periods;

create or replace temp table counted_pairs as
select
    pair,
    count(*) as times
from events_of_customers
where pair is not null
group by pair;

-- One row per event type: how often customers have a product in a period, all but a hundredth and all but a
-- thousandth of them; of so many counts, those that stand there when they are put in order.
create or replace temp table usual_counts as
with counts as (
    select
        pair >> 58 as kind,
        times,
        count(*) as pairs
    from counted_pairs
    group by kind, times
),

placed as (
    select
        kind,
        times,
        sum(pairs) over (partition by kind order by times) as place,
        sum(pairs) over (partition by kind) as total
    from counts
)

select
    event_kinds.event_type,
    min(placed.times) filter (
        placed.place >= greatest(1, placed.total - floor(cast(placed.total as double) - 0.99 * placed.total))
    ) as often,
    min(placed.times) filter (
        placed.place >= greatest(1, placed.total - floor(cast(placed.total as double) - 0.999 * placed.total))
    ) as rarely
from placed
inner join event_kinds on placed.kind = event_kinds.kind
group by event_kinds.event_type;

-- One row per customer, product, event type and period with so many events that the rules look at it.
create or replace temp table suspect_pairs as
select
    user_id,
    item_id,
    event_type,
    period,
    count(*) as times
from events_of_customers
where
    pair in (
        select counted_pairs.pair
        from counted_pairs
        cross join contract_limits as limits
        where counted_pairs.times > least(limits.max_repeats, limits.pushed_repeats - 1)
    )
group by user_id, item_id, event_type, period;

drop table counted_pairs;

create or replace temp table repeating_pairs as
select distinct
    pairs.user_id,
    pairs.item_id
from suspect_pairs as pairs
inner join usual_counts as usual on pairs.event_type = usual.event_type
cross join contract_limits as limits
where pairs.times > greatest(limits.max_repeats, limits.repeat_factor * usual.rarely);

create or replace temp table keen_pairs as
with own as (
    select
        user_id,
        period,
        count(*) as times
    from events_of_customers
    where
        item_id is not null
        and (user_id, period) in (
            select
                user_id,
                period
            from suspect_pairs
        )
    group by user_id, period
)

select pairs.*
from suspect_pairs as pairs
inner join usual_counts as usual on pairs.event_type = usual.event_type
inner join own on pairs.user_id = own.user_id and pairs.period = own.period
cross join contract_limits as limits
where
    pairs.times >= limits.pushed_repeats
    and pairs.times > usual.often
    and pairs.times >= limits.pushed_share * own.times;

create or replace temp table pushing_pairs as
with all_times as (
    select
        item_id,
        event_type,
        period,
        count(*) as times
    from events_of_customers
    where
        (item_id, event_type, period) in (
            select
                item_id,
                event_type,
                period
            from keen_pairs
        )
    group by item_id, event_type, period
),

keen_times as (
    select
        item_id,
        event_type,
        period,
        count(*) as customers,
        sum(times) as times
    from keen_pairs
    group by item_id, event_type, period
),

pushed as (
    select
        keen_times.item_id,
        keen_times.event_type,
        keen_times.period
    from keen_times
    inner join all_times
        on keen_times.item_id = all_times.item_id
        and keen_times.event_type = all_times.event_type
        and keen_times.period = all_times.period
    where
        keen_times.customers >= (select pushed_customers from contract_limits)
        and keen_times.times > 0.5 * all_times.times
)

select distinct
    keen_pairs.user_id,
    keen_pairs.item_id
from keen_pairs
inner join pushed
    on keen_pairs.item_id = pushed.item_id
    and keen_pairs.event_type = pushed.event_type
    and keen_pairs.period = pushed.period;

create or replace temp table repeated_ids as
select id
from (
    select hash(event_id) as id
    from extracted_events
) as ids
group by id
having count(*) > 1;

create or replace temp view stamped_events as
select
    *,
    hash(event_id) as id,
    cast(occurred_at as date) as day,
    hash(user_id, item_id, event_type, occurred_at, quantity, value, basket_id, market) as content
from extracted_events;

-- One row per content that stands under several ids, with the first of them.
create or replace temp table repeated_contents as
select
    content,
    min(event_id) as first_id
from stamped_events
where
    occurred_at is not null
    and content in (
        select content
        from stamped_events
        where occurred_at is not null
        group by content
        having count(*) > 1
    )
group by content
having count(distinct event_id) > 1;

create or replace temp table doubled_days as
with days as (
    select
        day,
        count(*) as rows
    from stamped_events
    where day is not null
    group by day
),

doubles as (
    select
        stamped_events.day,
        count(*) as rows
    from stamped_events
    inner join repeated_contents on stamped_events.content = repeated_contents.content
    where stamped_events.event_id > repeated_contents.first_id
    group by stamped_events.day
),

shares as (
    select
        days.day,
        days.rows,
        coalesce(doubles.rows, 0) / days.rows as share
    from days
    left join doubles on days.day = doubles.day
)

select shares.day
from shares
cross join contract_limits as limits
where
    shares.rows >= limits.min_day_rows
    and shares.share > limits.max_doubled_share
    and shares.share > 3 * (select median(share) from shares);
