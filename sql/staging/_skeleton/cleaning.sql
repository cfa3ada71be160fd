-- One row per class of rows that the mapping changed, marked or left out, so that a load can report them.
-- Optional; needed columns: rule, reason, row_count.

select
    'non_positive_quantity' as rule,
    'order lines without a positive quantity; left out' as reason,
    count(*) as row_count
from raw_NAME.orders
where quantity <= 0
