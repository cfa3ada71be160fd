-- One row per extracted promotion. Equal ones are merged later, and those of products that are not known yet are left
-- out, so neither is an error.
select *
from extracted_promotions
