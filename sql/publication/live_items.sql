-- grain: one row per product of the shop
select item_id, title, category
from shop.items
order by item_id
