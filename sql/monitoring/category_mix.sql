-- grain: one row per department (first part of the category's path); purchase lines of the days before the cut
select
    split_part(coalesce(items_at_cut.category, ''), ' > ', 1) as department,
    count(*) as lines
from purchases
inner join items_at_cut using (item_idx)
where purchases.age <= $days
group by department
order by department
