-- One row per event that the source maps, with the first rule that it breaks.

create temp table recsys_incoming as
with mapped as (

{select}

),

typed as (

    select {values} from mapped

)

select
    typed.*,
    case
        when typed.event_id is null then 'event_id is empty'
        when typed.occurred_at is null then 'occurred_at is empty'
        when typed.event_type is null or typed.event_type not in ({event_types})
            then 'event_type is none of those known'
        when typed.item_id is null and typed.event_type <> 'search' then 'item_id is empty'
        when typed.item_id is not null and items.item_id is null then 'the item is missing from items'
        when typed.user_id is not null and users.user_id is null then 'the customer is missing from users'
    end as broken_rule
from typed
left join shop.items as items on items.item_id = typed.item_id
left join shop.users as users on users.user_id = typed.user_id;
