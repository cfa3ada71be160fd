-- One row per campaign and household that it was sent to; a campaign is known from its first day.

with campaigns as (

    select distinct
        campaign_id,
        household_id
    from raw_completejourney.campaigns

),

descriptions as (

    select * from raw_completejourney.campaign_descriptions

)

select
    cast(campaigns.campaign_id as varchar) as campaign_id,
    cast(campaigns.household_id as varchar) as user_id,
    descriptions.campaign_type as kind,
    descriptions.start_date as starts_at,
    descriptions.end_date + interval '1 day' as ends_at,
    descriptions.start_date as known_at
from campaigns
inner join descriptions on descriptions.campaign_id = campaigns.campaign_id
