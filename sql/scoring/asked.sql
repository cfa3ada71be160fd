-- One row per customer of a snapshot (users) whose list is made anew over a base: those of whom something is new (changed),
-- those whose list has a product that may not be recommended any more, and those who can have a list, since they have an
-- event with a product that may (able), and have none in the base (listed).
-- has_list: whether they have one there.
select
    users.user_id,
    users.bucket,
    users.segment,
    listed.user_id is not null as has_list
from users
left join able on users.user_id = able.user_id
left join changed on users.user_id = changed.user_id
left join listed on users.user_id = listed.user_id
where
    users.is_personalised
    and (able.user_id is not null or listed.user_id is not null)
    and (changed.user_id is not null or listed.user_id is null or listed.has_barred)
order by users.user_id
