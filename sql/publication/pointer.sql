-- grain: one row per placement: the range with the default lists, whose fence counts the moves
select placement, publication_id, fence
from recsys.pointers
where placement = :placement and bucket_from = -1
