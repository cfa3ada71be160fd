-- One row per quarantined row that a check of the canonical tables put there: its id, its run, and whether it was
-- replayed since.
select
    kept.quarantine_id,
    kept.run_id,
    coalesce(repairs.status = 'replayed', false) as is_replayed,
    repairs.quarantine_id is not null as is_taken_up
from (
    select
        md5(source_table || '|' || rule || '|' || cast("row" as text)) as quarantine_id,
        run_id
    from shop.quarantine
) as kept
left join shop.quarantine_repairs as repairs on kept.quarantine_id = repairs.quarantine_id
