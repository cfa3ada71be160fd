-- One row: rows that the loads in force rejected, and rows that the shop holds.
with rejected as (
    select count(*) as row_count
    from shop.quarantine as quarantine
    inner join shop.sources as sources on quarantine.run_id = sources.load_id
),

held as (
    select (select count(*) from shop.events) + (select count(*) from shop.items) + (select count(*) from shop.users)
        as row_count
)

select
    rejected.row_count as rejected,
    held.row_count as held
from rejected
cross join held
