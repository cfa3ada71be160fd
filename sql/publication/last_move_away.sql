-- how and when a publication last stopped being live; no row while it never did
select cause, moved_at
from recsys.pointer_moves
where placement = :placement and from_publication_id = :publication_id
order by fence desc
limit 1
