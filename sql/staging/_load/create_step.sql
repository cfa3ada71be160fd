create table {table} as
select *
from (
{select}
) as step
