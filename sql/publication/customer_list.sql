-- What one customer sees on one placement: the query for a shop's own programs.
-- grain: one row per rank
-- :user_id, :placement. A visitor has the user_id '*'.
-- The customer's own list if there is one, else that of their segment, else the list for everybody.
-- user_id in the result says whose list it is. A customer who withdrew consent gets the list for everybody,
-- since a segment is personal as well.
with
own as (
    select
        1 as preference, user_id, rank, item_id, score, source, reason, publication_id, model_version, as_of,
        propensity
    from recsys.live_recommendations
    where placement = :placement and user_id = :user_id
),

segment as (
    select
        2 as preference, user_id, rank, item_id, score, source, reason, publication_id, model_version, as_of,
        propensity
    from recsys.live_recommendations
    where
        placement = :placement
        and user_id = (
            select 'segment:' || (users.attributes ->> 'segment')
            from shop.users as users
            where
                users.user_id = :user_id
                and users.is_personalised
                and not exists (
                    select 1
                    from recsys.withdrawn_consents as withdrawn
                    where withdrawn.user_id = users.user_id
                )
        )
),

everybody as (
    select
        3 as preference, user_id, rank, item_id, score, source, reason, publication_id, model_version, as_of,
        propensity
    from recsys.live_recommendations
    where placement = :placement and user_id = '*'
),

found as (
    select * from own
    union all
    select * from segment
    union all
    select * from everybody
)

select
    found.user_id,
    found.rank,
    found.item_id,
    items.title,
    items.category,
    found.score,
    found.source,
    found.reason,
    found.publication_id,
    found.model_version,
    found.as_of,
    found.propensity
from found
left join shop.items as items on items.item_id = found.item_id
where found.preference = (select min(preference) from found)
order by found.rank
