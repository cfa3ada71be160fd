-- One row per customer from $user_from until $user_to and product with any event that was known before the cut.
-- purchases: lines not taken back; weight: each loses half its value in $half_life days; interest: the same over the
-- event types in $event_types, each event counted with its weight in $event_weights; recency: 1 for what the customer
-- last turned to, 2 for the moment before, and so on (null without such an event); first_days and last_days: days since
-- the first and the last purchase; recent and earlier: lines of the last $recent_days days, and of as many before them.
-- Sums are of decimals, so that they do not depend on their order.
with event_weights as (
    select
        unnest($event_types::varchar []) as event_type,
        unnest($event_weights::double []) as weight
),

known as (
    select
        events.user_idx,
        events.item_idx,
        events.occurred_at,
        epoch(cuts.cut_at - events.occurred_at) / 86400.0 as age,
        event_weights.weight,
        events.event_type = 'purchase' and not coalesce(events.undone_at < cuts.cut_at, false) as is_purchase,
        events.event_type <> 'purchase' or not coalesce(events.undone_at < cuts.cut_at, false) as counts
    from events
    inner join cuts on events.user_idx = cuts.subject_id
    left join event_weights on events.event_type = event_weights.event_type
    where
        events.user_idx >= $user_from
        and events.user_idx < $user_to
        and events.item_idx is not null
        and events.occurred_at < cuts.cut_at
        and events.known_at < cuts.cut_at
),

-- What was taken back doesn't count, but that the customer knows the product stays.
counted as (
    select
        user_idx,
        item_idx,
        count(*) filter (is_purchase) as purchases,
        sum(cast(0.5 ** (age / $half_life) as decimal(18, 12))) filter (is_purchase) as weight,
        max(age) filter (is_purchase) as first_days,
        min(age) filter (is_purchase) as last_days,
        count(*) filter (is_purchase and age <= $recent_days) as recent,
        count(*) filter (is_purchase and age > $recent_days and age <= 2 * $recent_days) as earlier,
        sum(cast(weight * 0.5 ** (age / $half_life) as decimal(18, 12))) filter (counts) as interest,
        max(occurred_at) filter (counts and weight > 0) as last_at
    from known
    group by user_idx, item_idx
)

select
    user_idx,
    item_idx,
    cast(purchases as integer) as purchases,
    cast(cast(coalesce(weight, 0) as double) as float) as weight,
    cast(cast(coalesce(interest, 0) as double) as float) as interest,
    cast(
        case when last_at is null then 0
            else dense_rank() over (partition by user_idx order by last_at desc nulls last)
        end as integer
    ) as recency,
    cast(coalesce(first_days, 0) as float) as first_days,
    cast(coalesce(last_days, 0) as float) as last_days,
    cast(recent as integer) as recent,
    cast(earlier as integer) as earlier
from counted
order by user_idx, item_idx
