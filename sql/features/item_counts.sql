-- One row per product: purchase lines before the cut, and customers who bought it in the $recent_days days before.
with counted as (
    select
        item_idx,
        count(*) as purchases,
        count(distinct user_idx) filter (age <= $recent_days) as recent_buyers
    from purchases
    group by item_idx
)

select
    items.item_idx,
    items.recommendable and items.exists_from < $cut_at as may_be_shown,
    coalesce(counted.purchases, 0) as purchases,
    coalesce(counted.recent_buyers, 0) as recent_buyers
from items
left join counted on items.item_idx = counted.item_idx
order by items.item_idx
