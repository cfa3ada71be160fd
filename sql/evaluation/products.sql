-- One row per product of the snapshot: the customers who had bought it before the cut, its purchase lines, the days
-- since it was first seen (NaN where unknown), and its category (the whole path), department (the path's first step)
-- and brand as numbers of the cut (-1 where unknown).
select
    items.item_idx,
    coalesce(features_item.item_buyers, 0) as buyers,
    coalesce(features_item.item_lines, 0) as lines,
    coalesce(features_item.item_age, 'nan'::double) as known_days,
    case when items_at_cut.category = '' then -1 else coalesce(item_groups.category_no, -1) end as category,
    coalesce(departments.department_no, -1) as department,
    case when items_at_cut.brand = '' then -1 else coalesce(item_groups.brand_no, -1) end as brand
from items
inner join items_at_cut on items.item_idx = items_at_cut.item_idx
left join item_groups on items.item_idx = item_groups.item_idx
left join departments on items.item_idx = departments.item_idx
left join features_item on items.item_idx = features_item.item_idx
order by items.item_idx
