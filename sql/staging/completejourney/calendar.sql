-- One row per week of the promotions. The shop's weeks begin on Mondays at midnight in the eastern United
-- States: 05:00 UTC in winter, 04:00 in summer. 05:00 is taken throughout, so that no promotion is known too early.

with weeks as (

    select distinct week from raw_completejourney.promotions

)

select
    week,
    timestamp '2016-12-26 05:00:00' + (week - 1) * interval '7 days' as starts_at,
    timestamp '2016-12-26 05:00:00' + week * interval '7 days' as ends_at
from weeks
