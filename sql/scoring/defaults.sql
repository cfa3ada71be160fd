-- One row per segment ('' is everyone) and product of its default list: the products that most of its customers
-- bought in the $recent_days days before the cut, smoothed as the generators do: $prior customers like everyone are added
-- to each segment's. The score is the buyers that everyone would have if all bought as the segment does.
with recent as (
    select
        purchases.item_idx,
        users.segment,
        count(distinct purchases.user_idx) as buyers
    from purchases
    inner join users on purchases.user_idx = users.user_idx
    inner join eligible on purchases.item_idx = eligible.item_idx
    where purchases.age <= $recent_days
    group by purchases.item_idx, users.segment
),

active as (
    select
        users.segment,
        count(distinct purchases.user_idx) as customers
    from purchases
    inner join users on purchases.user_idx = users.user_idx
    inner join eligible on purchases.item_idx = eligible.item_idx
    where purchases.age <= $recent_days
    group by users.segment
),

everyone as (
    select
        eligible.item_idx,
        cast(coalesce(sum(recent.buyers), 0) as bigint) as buyers
    from eligible
    left join recent on eligible.item_idx = recent.item_idx
    group by eligible.item_idx
),

segments as (
    select distinct segment
    from users
),

scored as (
    select
        '' as segment,
        item_idx,
        buyers,
        buyers as all_buyers,
        cast(buyers as double) as score
    from everyone

    union all

    select
        segments.segment,
        everyone.item_idx,
        coalesce(recent.buyers, 0) as buyers,
        everyone.buyers as all_buyers,
        case when totals.customers > 0
            then (coalesce(recent.buyers, 0) * totals.customers + $prior * everyone.buyers)
            / (coalesce(active.customers, 0) + $prior)
            else 0
        end as score
    from segments
    cross join everyone
    cross join (select sum(customers) as customers from active) as totals
    left join recent on segments.segment = recent.segment and everyone.item_idx = recent.item_idx
    left join active on segments.segment = active.segment
),

ranked as (
    select
        *,
        row_number() over (partition by segment order by score desc, item_idx) as rank
    from scored
)

select
    case segment when '' then '*' else 'segment:' || segment end as subject_id,
    cast(-1 as smallint) as bucket,
    cast(ranked.rank as smallint) as rank,
    items.item_id,
    items.item_idx,
    cast(ranked.score as double) as score,
    'popularity' as source,
    case
        when segment not in ('', 'unknown') and buyers >= $fewest
            then 'You are new here: ' || buyers || ' of our ' || segment || ' customers bought this in the last '
            || $recent_days || ' days.'
        when all_buyers = 0 then 'You are new here: this is part of our range.'
        else 'You are new here: ' || all_buyers || ' of our customers bought this in the last ' || $recent_days
            || ' days.'
    end as reason
from ranked
inner join items on ranked.item_idx = items.item_idx
where ranked.rank <= $items
order by subject_id, rank
