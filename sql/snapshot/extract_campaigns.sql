-- One row per campaign and customer it was sent to that was known before :as_of; it is judged, and in no snapshot.
-- Customers whom the shop came to know later are left out with them.
select
    campaigns.campaign_id,
    campaigns.user_id,
    campaigns.kind,
    campaigns.starts_at,
    campaigns.ends_at,
    campaigns.known_at
from shop.campaigns as campaigns
where
    campaigns.known_at < :as_of
    and not exists (
        select 1 from shop.users as later where later.user_id = campaigns.user_id and later.created_at >= :as_of
    )
