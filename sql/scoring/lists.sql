-- One row per customer and rank: the published row, with a reason that its evidence supports.
-- ranked holds user_idx, item_idx, rank, score, source, carrier (the generator that the reason speaks of), sentence (what
-- it says), pair_lines, because_idx (the customer's product that speaks most for the row), recent_buyers, is_sensitive
-- (no reason may tell of it what the customer or others do), propensity (null unless the row was drawn).
-- The date of the last purchase comes from the purchases, since a feature's days are rounded to the ranker's floats.
with last_purchases as (
    select
        purchases.user_idx,
        purchases.item_idx,
        max(purchases.occurred_at) as last_at,
        round(epoch(max(purchases.occurred_at) - min(purchases.occurred_at)) / 86400 / nullif(count(*) - 1, 0)) as every
    from purchases
    inner join ranked on purchases.user_idx = ranked.user_idx and purchases.item_idx = ranked.item_idx
    group by purchases.user_idx, purchases.item_idx
)

select
    users.user_id as subject_id,
    users.bucket,
    ranked.rank,
    items.item_id,
    ranked.score,
    ranked.source,
    case
        when ranked.is_sensitive then 'This is part of our range.'
        when ranked.carrier = 'due' and last_purchases.every > 1
            then 'You bought this ' || ranked.pair_lines || ' times, about every '
            || cast(last_purchases.every as integer) || ' days, last on '
            || strftime(last_purchases.last_at, '%-d %B %Y') || '.'
        when ranked.carrier = 'repurchase' and ranked.pair_lines = 1
            then 'You bought this on ' || strftime(last_purchases.last_at, '%-d %B %Y') || '.'
        when ranked.carrier in ('repurchase', 'due')
            then 'You bought this ' || ranked.pair_lines || ' times, last on '
            || strftime(last_purchases.last_at, '%-d %B %Y') || '.'
        when because.title is null and contains(ranked.sentence, '{because}') then 'Fits what you usually buy.'
        else replace(
            replace(
                replace(ranked.sentence, '{recent_buyers}', ranked.recent_buyers::varchar),
                '{recent_days}',
                $recent_days || ' days'
            ),
            '{because}',
            coalesce(because.title, '')
        )
    end as reason,
    ranked.propensity
from ranked
inner join users on ranked.user_idx = users.user_idx
inner join items on ranked.item_idx = items.item_idx
left join last_purchases on ranked.user_idx = last_purchases.user_idx and ranked.item_idx = last_purchases.item_idx
left join items as because on ranked.because_idx = because.item_idx
order by users.user_idx, ranked.rank
