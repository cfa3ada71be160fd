-- The first customers by a stable hash: the same ones at every load, whatever else is loaded.

create table {chosen} as
select id
from (
    select distinct cast({column} as varchar) as id
    from {table}
) as customers
where id is not null
order by {bucket}, id
limit {count}
