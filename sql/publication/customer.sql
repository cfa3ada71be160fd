-- grain: one row, none for an unknown customer
select is_personalised
from shop.users
where user_id = :user_id
