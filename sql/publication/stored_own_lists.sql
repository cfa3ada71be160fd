-- grain: one row per list that a publication names itself and whose rows are stored
-- As in stored_lists.sql. In which part they are is not asked.
select lists.subject_id, lists.list_hash
from recsys.publication_lists as lists
inner join recsys.list_rows as list_rows
    on list_rows.placement = :placement
    and list_rows.subject_id = lists.subject_id
    and list_rows.list_hash = lists.list_hash
    and list_rows.rank = 1
where lists.publication_id = :publication_id
