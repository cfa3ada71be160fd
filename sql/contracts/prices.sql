-- One row: the usual price of the products, of those above zero.
select median(price) filter (price > 0)
from valid_items
