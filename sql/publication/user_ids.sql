-- grain: one row per customer that the shop knows
select user_id
from shop.users
order by user_id
