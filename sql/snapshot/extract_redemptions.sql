-- One row per coupon handed in before :as_of; it is judged, and in no snapshot.
-- Customers whom the shop came to know later are left out with them.
select
    redemptions.redemption_id,
    redemptions.user_id,
    redemptions.coupon_id,
    redemptions.campaign_id,
    redemptions.redeemed_at
from shop.redemptions as redemptions
where
    (redemptions.redeemed_at is null or redemptions.redeemed_at < :as_of)
    and not exists (
        select 1 from shop.users as later where later.user_id = redemptions.user_id and later.created_at >= :as_of
    )
