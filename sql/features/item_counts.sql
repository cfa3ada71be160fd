-- One row per product: purchase lines before the cut, and customers who bought it in the $recent_days days before.
-- What is served now ($for_serving) must also be recommendable as of the snapshot, where what is in stock is known.
with counted as (
    select
        item_idx,
        count(*) as purchases
    from purchases
    group by item_idx
),

recent as (
    select
        item_idx,
        count(*) as buyers
    from (
        select distinct
            item_idx,
            user_idx
        from purchases
        where age <= $recent_days
    ) as pairs
    group by item_idx
)

select
    items.item_idx,
    items_at_cut.exists_then
    and items_at_cut.recommendable
    and (items.recommendable or not $for_serving) as may_be_shown,
    coalesce(counted.purchases, 0) as purchases,
    coalesce(recent.buyers, 0) as recent_buyers,
    items_at_cut.known_days
from items
inner join items_at_cut on items.item_idx = items_at_cut.item_idx
left join counted on items.item_idx = counted.item_idx
left join recent on items.item_idx = recent.item_idx
order by items.item_idx
