-- grain: one row per customer who has a list in a live publication, or in a canary's, but must not be shown it
with
served as (
    select publication_id
    from recsys.pointers
    union
    select publication_id
    from recsys.canaries
    where status = 'running'
)

select distinct lists.subject_id as user_id
from served
inner join recsys.list_sources as sources on sources.publication_id = served.publication_id
inner join recsys.publication_lists as lists on lists.publication_id = sources.source_id
left join shop.users as users on users.user_id = lists.subject_id and users.is_personalised
left join recsys.withdrawn_consents as withdrawn on withdrawn.user_id = lists.subject_id
where lists.bucket <> -1 and (users.user_id is null or withdrawn.user_id is not null)
order by user_id
