-- One row per quarantined row that is asked for, as often as it was told, with what was done about it. It waits if
-- nobody took it up, or if it came again after it was replayed.
with kept as (
    select
        md5(source_table || '|' || rule || '|' || cast("row" as text)) as quarantine_id,
        source_table,
        cast("row" as text) as "row",
        rule,
        run_id,
        seen_at
    from shop.quarantine
    where
        (cast(:source_table as text) is null or source_table = :source_table)
        and (cast(:rule as text) is null or rule = :rule)
        and (cast(:run_id as text) is null or run_id = :run_id)
)

select
    kept.quarantine_id,
    kept.source_table,
    kept."row",
    kept.rule,
    kept.run_id,
    kept.seen_at,
    cast(repairs."row" as text) as repaired,
    case
        when repairs.status is null then 'waiting'
        when repairs.status = 'replayed' and kept.seen_at > repairs.changed_at and repairs."row" is null then 'waiting'
        when repairs.status = 'replayed' and kept.seen_at > repairs.changed_at then 'repaired'
        else repairs.status
    end as status,
    repairs.changed_by,
    repairs.changed_at
from kept
left join shop.quarantine_repairs as repairs on kept.quarantine_id = repairs.quarantine_id
where cast(:ids as text) is null or kept.quarantine_id like cast(:ids as text) || '%'
order by kept.seen_at desc, kept.source_table, kept.rule, kept.quarantine_id
limit :most
