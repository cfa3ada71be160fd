-- One row per customer with a list in the base (base_rows), by the name that they have in the snapshot.
-- has_barred: whether it has a product that is not among those that may be recommended now (eligible), or a spare one.
select
    names.user_id,
    names.subject_id,
    bool_or(eligible.item_id is null) as has_barred
from base_rows
inner join names on base_rows.subject_id = names.subject_id
left join eligible on base_rows.item_id = eligible.item_id
group by names.user_id, names.subject_id
