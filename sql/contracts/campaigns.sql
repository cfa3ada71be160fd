-- One row per extracted customer of a campaign; nth numbers the rows of one campaign_id, user_id, starts_at.
select
    judged.*,
    row_number() over (
        partition by judged.campaign_id, judged.user_id, judged.starts_at
        order by to_json(judged)::varchar
    ) as nth,
    valid_users.user_id is not null as has_user
from extracted_campaigns as judged
left join valid_users on judged.user_id = valid_users.user_id
