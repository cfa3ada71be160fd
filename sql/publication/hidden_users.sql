-- grain: one row per customer who has a list in a live publication but must not be shown it
select distinct lists.subject_id as user_id
from recsys.pointers as pointers
inner join recsys.publication_lists as lists on lists.publication_id = pointers.publication_id
where
    lists.bucket <> -1
    and not exists (
        select 1
        from shop.users as users
        where users.user_id = lists.subject_id and users.is_personalised
    )
order by user_id
