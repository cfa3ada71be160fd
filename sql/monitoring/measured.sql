-- grain: one row per measurement since a moment; null names: all
select
    measured_at,
    run_id,
    name,
    placement,
    part,
    value,
    threshold,
    status,
    message,
    details
from recsys.measurements
where
    measured_at >= :since
    and (cast(:name as text) is null or name = :name)
order by measured_at, run_id, name, coalesce(placement, ''), coalesce(part, '')
