-- One row per extracted rule about products.
select *
from extracted_item_rules
