-- One row per product: places that customers see it in, in lists of the base that stay as they are.
select
    base_rows.item_id,
    count(*) as places
from base_rows
inner join listed on base_rows.subject_id = listed.subject_id
inner join users on listed.user_id = users.user_id and users.is_personalised
anti join asked on listed.user_id = asked.user_id
where base_rows.rank <= $shown
group by base_rows.item_id
order by base_rows.item_id
