-- One row per event, with what a snapshot takes of it, the moment from which on a snapshot has it (visible_at, the later
-- one of when it occurred and when it was recorded), that moment's day as a number (null from :as_of on), and a hash of
-- all that is taken. Texts are told by their lengths too, so that no two rows give one text. Of the hash's hexadecimal
-- digits decimal ones are made: every engine can read them as a number, in one step and without a loop.
select
    event_id,
    user_id,
    item_id,
    event_type,
    occurred_at,
    known_at,
    quantity,
    price,
    value,
    basket_id,
    market,
    visible_at,
    case
        when visible_at < :as_of then cast(
            extract(year from visible_at) * 10000
            + extract(month from visible_at) * 100
            + extract(day from visible_at) as bigint
        )
    end as visible_day,
    cast(
        translate(
            substr(
                md5(
                    cast(:salt as text)
                    || '|' || coalesce(cast(length(event_id) as text) || ':' || event_id, '-')
                    || '|' || coalesce(cast(length(user_id) as text) || ':' || user_id, '-')
                    || '|' || coalesce(cast(length(item_id) as text) || ':' || item_id, '-')
                    || '|' || coalesce(cast(length(event_type) as text) || ':' || event_type, '-')
                    || '|' || coalesce(cast(occurred_at as text), '-')
                    || '|' || coalesce(cast(known_at as text), '-')
                    || '|' || coalesce(cast(quantity as text), '-')
                    || '|' || coalesce(cast(price as text), '-')
                    || '|' || coalesce(cast(value as text), '-')
                    || '|' || coalesce(cast(length(basket_id) as text) || ':' || basket_id, '-')
                    || '|' || coalesce(cast(length(market) as text) || ':' || market, '-')
                ),
                1,
                18
            ),
            'abcdef',
            '012345'
        ) as bigint
    ) as row_hash
from (
    select
        event_id,
        user_id,
        item_id,
        event_type,
        occurred_at,
        coalesce(recorded_at, occurred_at) as known_at,
        quantity,
        price,
        value,
        basket_id,
        market,
        case when recorded_at > occurred_at then recorded_at else occurred_at end as visible_at
    from shop.events
) as told
