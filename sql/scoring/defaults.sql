-- One row per segment ('' is everyone) and product of its default list: the products that most of its customers
-- bought in the $recent_days days before the cut; where a segment is too small, what everyone bought fills up.
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
        buyers as all_buyers
    from everyone

    union all

    select
        segments.segment,
        everyone.item_idx,
        coalesce(recent.buyers, 0) as buyers,
        everyone.buyers as all_buyers
    from segments
    cross join everyone
    left join recent on segments.segment = recent.segment and everyone.item_idx = recent.item_idx
),

ranked as (
    select
        *,
        row_number() over (partition by segment order by buyers desc, all_buyers desc, item_idx) as rank
    from scored
)

select
    case segment when '' then '*' else 'segment:' || segment end as subject_id,
    cast(-1 as smallint) as bucket,
    cast(ranked.rank as smallint) as rank,
    items.item_id,
    items.item_idx,
    cast(ranked.all_buyers as double) as score,
    'popularity' as source,
    case
        when segment <> '' and buyers > 0
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
