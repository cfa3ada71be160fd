insert into shop.suppressions (
    suppression_id,
    item_id,
    brand,
    category,
    placement,
    starts_at,
    ends_at,
    created_by,
    reason
)
values (
    :suppression_id,
    :item_id,
    :brand,
    :category,
    :placement,
    :starts_at,
    :ends_at,
    :changed_by,
    :reason
)
