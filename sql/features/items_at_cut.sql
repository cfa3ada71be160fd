-- One row per product, as it was just before the cut: what began at the cut itself was not known yet.
-- exists_then: it had a version by then; if it had none, the row shows its first one. recommendable: of that
-- version, and false once it ended without a successor. known_days: from when it was first seen to the cut.
with versions as (
    select
        *,
        row_number() over (
            partition by item_idx
            order by valid_from < $cut_at desc, case when valid_from < $cut_at then valid_from end desc, valid_from
        ) as choice
    from item_versions
)

select
    versions.item_idx,
    items.exists_from,
    epoch($cut_at::timestamp - items.exists_from) / 86400.0 as known_days,
    versions.valid_from < $cut_at as exists_then,
    versions.title,
    versions.category,
    versions.brand,
    versions.recommendable and (versions.valid_to is null or $cut_at <= versions.valid_to) as recommendable
from versions
inner join items on versions.item_idx = items.item_idx
where versions.choice = 1
