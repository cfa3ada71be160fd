delete from shop.quarantine
where cast("row" as varchar) = :row_text
