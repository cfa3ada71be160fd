-- One row per customer and rank of what readers see of a placement; default lists are left out, and
-- what a canary shows.
select
    user_id,
    item_id,
    rank,
    publication_id,
    model_version,
    as_of
from recsys.live_recommendations
where
    placement = :placement
    and user_id <> '*'
    and user_id not like 'segment:%'
    and publication_id in (select pointers.publication_id from recsys.pointers as pointers)
