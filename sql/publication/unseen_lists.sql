-- grain: one row per customer who has a list in a publication, but must not be shown it
select lists.subject_id
from recsys.publication_lists as lists
left join shop.users as users on users.user_id = lists.subject_id and users.is_personalised
left join recsys.withdrawn_consents as withdrawn on withdrawn.user_id = lists.subject_id
where
    lists.publication_id = :publication_id
    and lists.bucket <> -1
    and (users.user_id is null or withdrawn.user_id is not null)
