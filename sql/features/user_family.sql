-- grain: cut_id, user_idx, family_no
-- family_lines: purchase lines of the customer in the product's family (the first two steps of the category path)
-- family_items: different products of it that the customer bought
-- family_days_since_last: days since the customer last bought from it
-- family_lines_28d: purchase lines in it in the last 28 days
-- family_decay_60: purchases in it, each losing half its weight in 60 days
-- family_share: the family's part of the customer's purchase lines
select
    purchases.cut_id,
    purchases.user_idx,
    item_groups.family_no,
    count(*) as family_lines,
    count(distinct purchases.item_idx) as family_items,
    min(purchases.age) as family_days_since_last,
    count(*) filter (purchases.age <= 28) as family_lines_28d,
    cast(sum(cast(0.5 ** (purchases.age / 60) as decimal(18, 12))) as double) as family_decay_60,
    count(*) / sum(count(*)) over (partition by purchases.cut_id, purchases.user_idx) as family_share
from purchases
inner join item_groups on purchases.item_idx = item_groups.item_idx
group by purchases.cut_id, purchases.user_idx, item_groups.family_no
