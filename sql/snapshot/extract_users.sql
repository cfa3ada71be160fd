-- One row per customer that the shop knew before :as_of.
select
    user_id,
    bucket,
    created_at,
    is_personalised,
    cast(attributes as text) as attributes
from shop.users
where created_at is null or created_at < :as_of
