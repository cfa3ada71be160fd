-- grain: one row per customer of whom there are rows
select user_id
from shop.users
union
select user_id
from shop.events
where user_id is not null
union
select user_id
from shop.campaigns
union
select user_id
from shop.redemptions
union
select user_id
from recsys.consent_changes
union
select subject_id
from recsys.publication_lists
where bucket <> -1
order by user_id
