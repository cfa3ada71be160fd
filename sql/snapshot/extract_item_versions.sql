-- One row per version of a product that began before :as_of. What ends later is open, so that a snapshot of an
-- earlier day can't show it. Where a source keeps no history, available is what it was when it was loaded: it
-- says nothing about earlier moments and is left out here.
with histories as (
    select coalesce(bool_and(has_item_history), false) as is_kept
    from shop.sources
)

select
    versions.item_id,
    versions.valid_from,
    case when versions.valid_to < :as_of then versions.valid_to end as valid_to,
    versions.title,
    versions.category,
    versions.brand,
    versions.price,
    coalesce(versions.recommendable, true)
    and (coalesce(versions.available, true) or not histories.is_kept) as recommendable
from shop.item_versions as versions
cross join histories
where versions.valid_from < :as_of
