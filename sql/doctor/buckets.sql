-- A few customers, with the buckets that were stored for them.
select user_id, bucket
from shop.users
order by user_id
limit 20
