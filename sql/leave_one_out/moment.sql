-- grain: user_idx, item_idx
-- moment_days_since: days from the product's last event by anybody to the customer's cut
-- moment_events_28d: its events by anybody in the 28 days before the cut
-- moment_events_182d: the same of half a year
with at_moments as (
    select
        item_idx,
        occurred_at,
        count(*) as events_then
    from events
    group by item_idx, occurred_at
),

counted as (
    select
        item_idx,
        occurred_at,
        sum(events_then) over (partition by item_idx order by occurred_at) as event_count
    from at_moments
),

asked as (
    select
        candidates.user_idx,
        candidates.item_idx,
        cuts.cut_at,
        cuts.cut_at - interval 28 day as month_before,
        cuts.cut_at - interval 182 day as half_year_before
    from candidates
    inner join cuts on candidates.user_idx = cuts.subject_id
)

select
    asked.user_idx,
    asked.item_idx,
    epoch(asked.cut_at - until_cut.occurred_at) / 86400.0 as moment_days_since,
    coalesce(until_cut.event_count, 0) - coalesce(until_month.event_count, 0) as moment_events_28d,
    coalesce(until_cut.event_count, 0) - coalesce(until_half_year.event_count, 0) as moment_events_182d
from asked
asof left join counted as until_cut
    on asked.item_idx = until_cut.item_idx and asked.cut_at > until_cut.occurred_at
asof left join counted as until_month
    on asked.item_idx = until_month.item_idx and asked.month_before > until_month.occurred_at
asof left join counted as until_half_year
    on asked.item_idx = until_half_year.item_idx and asked.half_year_before > until_half_year.occurred_at
