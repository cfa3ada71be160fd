-- grain: one row per canary, the newest first; :placement null: all placements
select
    placement,
    canary_number,
    canary_id,
    model_name,
    model_version,
    publication_id,
    salt,
    share,
    highest_hash,
    status,
    fence,
    started_at,
    ended_at
from recsys.canaries
where cast(:placement as text) is null or placement = :placement
order by started_at desc, placement, canary_number desc
