-- One row: how the item file fits the interactions.
with known as (
    select
        item_id,
        count(*) as row_count,
        max(coalesce(title, category, brand)) as anything
    from item_texts
    where item_id is not null
    group by item_id
)

select
    (select count(*) from item_texts) as item_rows,
    (select count(*) from item_texts where item_id is null) as item_rows_without_id,
    (select coalesce(sum(row_count - 1), 0) from known) as duplicate_item_rows,
    (select count(*) from known where item_id not in (select item_id from snapshot_items)) as unknown_items,
    (select count(*) from snapshot_items where item_id not in (select item_id from known)) as items_not_in_file,
    (
        select count(*)
        from snapshot_items
        inner join known on snapshot_items.item_id = known.item_id
        where known.anything is null
    ) as items_without_attributes
