-- One row per extracted version of a product; nth numbers the rows of one item_id and valid_from.
select
    versions.*,
    row_number() over (
        partition by versions.item_id, versions.valid_from order by to_json(versions)::varchar
    ) as nth,
    valid_items.item_id is not null as has_item
from extracted_item_versions as versions
left join valid_items on versions.item_id = valid_items.item_id
