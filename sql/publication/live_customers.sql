-- grain: one row per customer; what chooses their default list. A segment is personal, so it takes consent.
with
customers as (
    select
        users.user_id,
        users.is_personalised
        and not exists (
            select 1
            from recsys.withdrawn_consents as withdrawn
            where withdrawn.user_id = users.user_id
        ) as is_personalised,
        users.attributes
    from shop.users as users
)

select
    user_id,
    is_personalised,
    case when is_personalised then attributes ->> 'segment' end as segment
from customers
order by user_id
