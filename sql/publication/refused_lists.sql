-- Run by DuckDB over the rows of a base (base_rows), those of its items that may not be recommended any more (refused),
-- the lists of a publication that is built on it (list_facts) and customers who see none (unseen).
-- grain: one row: lists of the base that count in the publication and name such an item
select count(distinct base_rows.subject_id) as list_count, list_sort(list(distinct base_rows.item_id))[:3] as examples
from base_rows
semi join refused on refused.item_id = base_rows.item_id
anti join list_facts on list_facts.subject_id = base_rows.subject_id
anti join unseen on unseen.subject_id = base_rows.subject_id
