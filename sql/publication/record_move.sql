insert into recsys.pointer_moves (placement, fence, publication_id, from_publication_id, cause, moved_at)
values (:placement, :fence + 1, :publication_id, :expected, :cause, :now)
