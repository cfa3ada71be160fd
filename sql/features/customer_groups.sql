-- One row per customer: the segment, and the market of most purchase lines that were not taken back before the cut
-- (of equal ones: the first by name; '' where there is none).
with markets as (
    select
        events.user_idx,
        events.market,
        count(*) as lines
    from events
    inner join cuts on events.user_idx = cuts.subject_id
    where
        events.event_type = 'purchase'
        and events.market is not null
        and events.occurred_at < cuts.cut_at
        and events.known_at < cuts.cut_at
        and (events.undone_at is null or events.undone_at >= cuts.cut_at)
    group by events.user_idx, events.market
    qualify row_number() over (partition by events.user_idx order by lines desc, events.market) = 1
)

select
    users.user_idx,
    coalesce(users.segment, '') as segment,
    coalesce(markets.market, '') as market
from users
left join markets on users.user_idx = markets.user_idx
order by users.user_idx
