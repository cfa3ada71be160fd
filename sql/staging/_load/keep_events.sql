-- The events that break no rule; of those that share an event_id the first by time and content.

insert into shop.events ({columns})
select {columns}
from (
    select
        incoming.*,
        row_number() over (
            partition by event_id
            order by {order}
        ) as nth
    from recsys_incoming as incoming
    where broken_rule is null
) as numbered
where nth = 1
