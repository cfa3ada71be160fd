-- grain: one row per customer; what chooses their default list. A segment is personal, so it takes consent.
select
    user_id,
    is_personalised,
    case when is_personalised then attributes ->> 'segment' end as segment
from shop.users
order by user_id
