-- One row per extracted product; nth numbers the rows of one item_id.
select
    extracted_items.*,
    row_number() over (partition by item_id order by to_json(extracted_items)::varchar) as nth
from extracted_items
