delete from shop.quarantine
where
    md5(source_table || '|' || rule || '|' || cast("row" as text)) in :ids
    and (cast(:run_id as text) is null or run_id = :run_id)
