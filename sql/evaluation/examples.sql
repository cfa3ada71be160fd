-- One row per chosen customer: the titles of what they bought last before $cut_at (at most $history products, the last
-- first), and of what lists show them (kind: before, after or ranked), by rank, with whether they bought it then and its
-- rank in the other list (null if it isn't there): after for before and ranked, before for after.
with bought as (
    select
        user_idx,
        item_idx,
        max(occurred_at) as last_at
    from events
    where
        event_type = 'purchase'
        and occurred_at < $cut_at
        and known_at < $cut_at
        and user_idx in (select user_idx from chosen)
    group by user_idx, item_idx
    qualify row_number() over (partition by user_idx order by last_at desc, item_idx) <= $history
),

histories as (
    select
        bought.user_idx,
        list(items.title order by bought.last_at desc, items.item_idx) as history
    from bought
    inner join items on bought.item_idx = items.item_idx
    group by bought.user_idx
),

rows_shown as (
    select
        shown.kind,
        shown.user_idx,
        shown.rank,
        {
            'title': items.title,
            'is_bought': relevant.item_idx is not null,
            'other_rank': other.rank
        } as product
    from shown
    inner join items on shown.item_idx = items.item_idx
    left join relevant on shown.user_idx = relevant.user_idx and shown.item_idx = relevant.item_idx
    left join shown as other
        on
            shown.user_idx = other.user_idx
            and shown.item_idx = other.item_idx
            and other.kind = case shown.kind when 'after' then 'before' else 'after' end
),

lists as (
    select
        user_idx,
        list(product order by rank) filter (kind = 'before') as before,
        list(product order by rank) filter (kind = 'after') as after,
        list(product order by rank) filter (kind = 'ranked') as ranked
    from rows_shown
    group by user_idx
)

select
    users.user_id as user,
    users.segment,
    histories.history,
    lists.before,
    lists.after,
    lists.ranked
from chosen
inner join users on chosen.user_idx = users.user_idx
left join histories on chosen.user_idx = histories.user_idx
left join lists on chosen.user_idx = lists.user_idx
order by chosen.user_idx
