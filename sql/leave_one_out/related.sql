-- One row per ordered pair of products that customers turned to within $window events of each other.
-- sequel: how often to_item came after from_item, each event between them costing a fifth; next: how often at once;
-- precedent: how often it came before, weighed alike; likeness: both, against how many turned to either.
with ordered as (
    select
        user_idx,
        item_idx,
        row_number() over (partition by user_idx order by occurred_at) as position
    from events
),

buyers as (
    select
        item_idx,
        count(distinct user_idx) as buyers
    from events
    group by item_idx
),

sequels as (
    select
        earlier.item_idx as from_item,
        later.item_idx as to_item,
        sum(cast(0.8 ** (later.position - earlier.position - 1) as decimal(18, 12))) as weight,
        count(*) filter (later.position = earlier.position + 1) as next
    from ordered as earlier
    inner join ordered as later
        on earlier.user_idx = later.user_idx
        and later.position > earlier.position
        and later.position <= earlier.position + $window
    group by earlier.item_idx, later.item_idx
),

both_ways as (
    select
        from_item,
        to_item,
        weight as sequel,
        next,
        0 as precedent
    from sequels

    union all

    select
        to_item as from_item,
        from_item as to_item,
        0 as sequel,
        0 as next,
        weight as precedent
    from sequels
),

summed as (
    select
        from_item,
        to_item,
        cast(sum(sequel) as double) as sequel,
        cast(sum(next) as double) as next,
        cast(sum(precedent) as double) as precedent
    from both_ways
    group by from_item, to_item
)

select
    summed.from_item,
    summed.to_item,
    summed.sequel,
    summed.next,
    summed.precedent,
    (summed.sequel + summed.precedent) / sqrt(own.buyers * others.buyers) as likeness
from summed
inner join buyers as own on summed.from_item = own.item_idx
inner join buyers as others on summed.to_item = others.item_idx
order by summed.from_item, summed.to_item
