-- One row per product that existed at the cut and whose category is known: a dense number, from 0, of the first step of
-- the category's path.
select
    item_idx,
    cast(dense_rank() over (order by split_part(category, ' > ', 1)) - 1 as integer) as department_no
from items_at_cut
where exists_then and category <> ''
