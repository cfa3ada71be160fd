-- One row per coupon handed in by a household in a campaign on a day.

with redemptions as (

    select distinct
        household_id,
        coupon_upc,
        campaign_id,
        redemption_date
    from raw_completejourney.coupon_redemptions

)

select
    cast(household_id as varchar) || '-' || cast(coupon_upc as varchar) || '-' || cast(campaign_id as varchar)
    || '-' || cast(cast(redemption_date as date) as varchar) as redemption_id,
    cast(household_id as varchar) as user_id,
    cast(coupon_upc as varchar) as coupon_id,
    cast(campaign_id as varchar) as campaign_id,
    redemption_date as redeemed_at
from redemptions
