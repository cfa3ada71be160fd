-- grain: one row per customer; what chooses their default list. A segment is personal, so it takes consent.
with
customers as (
    select
        users.user_id,
        users.is_personalised and withdrawn.user_id is null as is_personalised,
        users.attributes
    from shop.users as users
    left join recsys.withdrawn_consents as withdrawn on withdrawn.user_id = users.user_id
)

select
    user_id,
    is_personalised,
    case when is_personalised then attributes ->> 'segment' end as segment
from customers
order by user_id collate "C"
