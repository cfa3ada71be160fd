-- One row per product that existed at the cut: dense numbers of its category (the whole path), the path's first two
-- steps, and its brand. The numbers are the cut's own.
select
    item_idx,
    exists_from,
    cast(dense_rank() over (order by category) as integer) as category_no,
    cast(dense_rank() over (
        order by split_part(category, ' > ', 1) || ' > ' || split_part(category, ' > ', 2)
    ) as integer) as family_no,
    cast(dense_rank() over (order by brand) as integer) as brand_no
from items_at_cut
where exists_then
