update shop.users
set is_personalised = :is_granted
where user_id = :user_id
