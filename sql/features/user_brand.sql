-- grain: cut_id, user_idx, brand_no
-- brand_lines: purchase lines of the customer in the product's brand
-- brand_items: different products of it that the customer bought
-- brand_days_since_last: days since the customer last bought from it
-- brand_lines_28d: purchase lines in it in the last 28 days
-- brand_decay_60: purchases in it, each losing half its weight in 60 days
-- brand_share: the brand's part of the customer's purchase lines
select
    purchases.cut_id,
    purchases.user_idx,
    item_groups.brand_no,
    count(*) as brand_lines,
    count(distinct purchases.item_idx) as brand_items,
    min(purchases.age) as brand_days_since_last,
    count(*) filter (purchases.age <= 28) as brand_lines_28d,
    cast(sum(cast(0.5 ** (purchases.age / 60) as decimal(18, 12))) as double) as brand_decay_60,
    count(*) / sum(count(*)) over (partition by purchases.cut_id, purchases.user_idx) as brand_share
from purchases
inner join item_groups on purchases.item_idx = item_groups.item_idx
group by purchases.cut_id, purchases.user_idx, item_groups.brand_no
