-- One row per customer and product with any event that was known before the cut.
-- purchases: lines not taken back; weight: each loses half its value in $half_life days; interest: the same over the
-- event types in $event_types, each event counted with its weight in $event_weights; recency: 1 for what the customer
-- last turned to, 2 for the moment before, and so on (null without such an event); first_days and last_days: days since
-- the first and the last purchase; recent and earlier: lines of the last $recent_days days, and of as many before them.
-- Sums are of decimals, so that they do not depend on their order.
with known as (
    select
        events.user_idx,
        events.item_idx,
        events.event_type,
        events.occurred_at,
        epoch(cuts.cut_at - events.occurred_at) / 86400.0 as age,
        events.undone_at < cuts.cut_at as is_undone
    from events
    inner join cuts on events.user_idx = cuts.subject_id
    where events.item_idx is not null and events.occurred_at < cuts.cut_at and events.known_at < cuts.cut_at
),

event_weights as (
    select
        unnest($event_types::varchar []) as event_type,
        unnest($event_weights::double []) as weight
),

counted as (
    select
        known.user_idx,
        known.item_idx,
        count(*) filter (known.event_type = 'purchase') as purchases,
        sum(cast(0.5 ** (known.age / $half_life) as decimal(18, 12)))
            filter (known.event_type = 'purchase') as weight,
        max(known.age) filter (known.event_type = 'purchase') as first_days,
        min(known.age) filter (known.event_type = 'purchase') as last_days,
        count(*) filter (known.event_type = 'purchase' and known.age <= $recent_days) as recent,
        count(*) filter (
            known.event_type = 'purchase' and known.age > $recent_days and known.age <= 2 * $recent_days
        ) as earlier,
        sum(cast(event_weights.weight * 0.5 ** (known.age / $half_life) as decimal(18, 12))) as interest,
        max(known.occurred_at) filter (event_weights.weight > 0) as last_at
    from known
    left join event_weights on known.event_type = event_weights.event_type
    where known.event_type <> 'purchase' or not coalesce(known.is_undone, false)
    group by known.user_idx, known.item_idx
),

touched as (
    select distinct
        user_idx,
        item_idx
    from known
),

ordered as (
    select
        *,
        case when last_at is not null then
            dense_rank() over (partition by user_idx order by last_at desc nulls last)
        end as recency
    from counted
)

select
    touched.user_idx,
    touched.item_idx,
    cast(coalesce(ordered.purchases, 0) as integer) as purchases,
    cast(coalesce(ordered.weight, 0) as double) as weight,
    cast(coalesce(ordered.interest, 0) as double) as interest,
    cast(coalesce(ordered.recency, 0) as integer) as recency,
    cast(coalesce(ordered.first_days, 0) as double) as first_days,
    cast(coalesce(ordered.last_days, 0) as double) as last_days,
    cast(coalesce(ordered.recent, 0) as integer) as recent,
    cast(coalesce(ordered.earlier, 0) as integer) as earlier
from touched
left join ordered on touched.user_idx = ordered.user_idx and touched.item_idx = ordered.item_idx
order by touched.user_idx, touched.item_idx
