-- No row: an interaction file tells nothing of what a shop knows of its products.
select
    cast(null as varchar) as rule_id,
    cast(null as varchar) as kind,
    cast(null as integer) as item_idx,
    cast(null as varchar) as brand,
    cast(null as varchar) as category,
    cast(null as integer) as other_item_idx,
    cast(null as varchar) as other_brand,
    cast(null as varchar) as other_category,
    cast(null as double) as weight,
    cast(null as varchar) as placement,
    cast(null as timestamp) as starts_at,
    cast(null as timestamp) as ends_at,
    cast(null as varchar) as season_from,
    cast(null as varchar) as season_to,
    cast(null as timestamp) as known_at
where false
