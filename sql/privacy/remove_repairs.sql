delete from shop.quarantine_repairs
where
    cast("row" as varchar) = :row_text
    or quarantine_id in (
        select md5(source_table || '|' || rule || '|' || cast("row" as text))
        from shop.quarantine
        where cast("row" as varchar) = :row_text
    )
