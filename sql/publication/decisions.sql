-- grain: one row per decision, in their order; :placement null: all placements
select
    decision_number,
    decision_id,
    placement,
    model_name,
    model_version,
    verdict,
    decided_by,
    decided_at,
    channel,
    reason,
    restored_model_name,
    restored_model_version
from recsys.decisions
where cast(:placement as text) is null or placement = :placement
order by decision_number
