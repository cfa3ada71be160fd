-- grain: cut_id, item_idx
-- item_promoted_markets: markets in which a promotion of the product was running at the cut
-- item_promotions_56d: promotions of the product, a market each, that ran in the 56 days before
with cut as (
    select max(cut_at) as cut_at
    from cuts
),

known as (
    select
        promotions.*,
        promotions.ends_at > cut.cut_at as is_running
    from promotions
    inner join item_groups on promotions.item_idx = item_groups.item_idx
    cross join cut
    where
        promotions.known_at < cut.cut_at
        and promotions.starts_at < cut.cut_at
        and promotions.ends_at > cut.cut_at - to_days(56)
)

select
    0 as cut_id,
    item_idx,
    count(distinct market) filter (is_running) as item_promoted_markets,
    count(*) as item_promotions_56d
from known
group by item_idx
