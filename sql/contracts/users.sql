-- One row per extracted customer; nth numbers the rows of one user_id.
select
    extracted_users.*,
    row_number() over (partition by user_id order by to_json(extracted_users)::varchar) as nth
from extracted_users
