-- grain: one row per subject of one publication
select publication_id, bucket, subject_id, list_hash
from recsys.publication_lists
where publication_id = :publication_id
