insert into shop.{table} ({columns})
select {values}
from (
{select}
) as mapped
