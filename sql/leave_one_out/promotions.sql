-- No row: an interaction file tells nothing of promotions.
select
    cast(0 as integer) as item_idx,
    '' as market,
    timestamp '1970-01-01' as starts_at,
    timestamp '1970-01-01' as ends_at,
    timestamp '1970-01-01' as known_at
where false
