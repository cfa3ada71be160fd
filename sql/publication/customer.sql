-- grain: one row, none for an unknown customer
select
    users.is_personalised
    and not exists (
        select 1
        from recsys.withdrawn_consents as withdrawn
        where withdrawn.user_id = users.user_id
    ) as is_personalised
from shop.users as users
where users.user_id = :user_id
