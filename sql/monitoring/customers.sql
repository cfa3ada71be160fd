-- One row: how many customers with consent have a history or were active, and how many of them have a list of their
-- own in what is live.
with served as (
    select distinct lists.subject_id
    from recsys.pointers as pointers
    inner join recsys.list_sources as sources on sources.publication_id = pointers.publication_id
    inner join recsys.publication_lists as lists
        on lists.publication_id = sources.source_id
        and lists.bucket between pointers.bucket_from and pointers.bucket_to
    where pointers.placement = :placement and lists.bucket >= 0
),

known as (
    select
        events.user_id,
        max(events.occurred_at) as last_at
    from shop.events as events
    inner join shop.users as users on events.user_id = users.user_id
    where users.is_personalised and events.occurred_at < :as_of and events.item_id is not null
    group by events.user_id
)

select
    count(*) as customers,
    count(served.subject_id) as served,
    count(*) filter (where known.last_at >= :active_since) as active,
    count(served.subject_id) filter (where known.last_at >= :active_since) as active_served
from known
left join served on known.user_id = served.subject_id
