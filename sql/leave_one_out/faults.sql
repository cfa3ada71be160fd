-- One row per cell that can't be used, in the order of the file; cell: as it is written, null where it is empty;
-- fault_count: of such cells.
select
    file_row,
    fault.column_name,
    fault.cell,
    fault.rule,
    count(*) over () as fault_count
from (
    select
        file_row,
        unnest([
            {
                'column_name': 'user_id',
                'cell': user_id,
                'rule': case when user_id is null then 'is empty' end
            },
            {
                'column_name': 'item_id',
                'cell': item_id,
                'rule': case when item_id is null then 'is empty' end
            },
            {
                'column_name': 'timestamp',
                'cell': timestamp_text,
                'rule': case
                    when not $has_timestamp then null
                    when timestamp_text is null then 'is empty'
                    when happened_at is null then 'is not a time'
                end
            },
            {
                'column_name': 'order',
                'cell': order_text,
                'rule': case
                    when not $has_order then null
                    when order_text is null then 'is empty'
                    when place is null then 'is not a number'
                end
            },
            {
                'column_name': 'value',
                'cell': value_text,
                'rule': case
                    when value_text is null then null
                    when value is null then 'is not a finite number'
                    when value < $lowest or value > $highest
                        then 'lies outside ' || $lowest::varchar || ' to ' || $highest::varchar
                end
            },
            {
                'column_name': 'event_type',
                'cell': event_type,
                'rule': case
                    when not $has_event_type then null
                    when event_type is null then 'is empty'
                    when event_type not in (select unnest($event_types)) then 'is none of the known types'
                end
            }
        ]) as fault
    from typed
)
where fault.rule is not null
order by file_row
