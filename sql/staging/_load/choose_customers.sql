-- The first customers by a stable hash: the same ones at every load, whatever else is loaded.
-- It is not the hash that gives the bucket, or a sample would fill the lowest buckets alone.

create table {chosen} as
select id
from (
    select distinct cast({column} as varchar) as id
    from {table}
) as customers
where id is not null
order by md5('sample of ' || id), id
limit {count}
