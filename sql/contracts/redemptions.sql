-- One row per extracted redemption; nth numbers the rows of one redemption_id.
select
    judged.*,
    row_number() over (
        partition by judged.redemption_id
        order by to_json(judged)::varchar
    ) as nth,
    valid_users.user_id is not null as has_user
from extracted_redemptions as judged
left join valid_users on judged.user_id = valid_users.user_id
