-- grain: one row per product: what a rule may name
select item_id, brand, category
from shop.items
