insert into recsys.canary_moves (canary_id, fence, move, publication_id, share, decision_id, moved_at)
values (:canary_id, :fence, :move, :publication_id, :share, :decision_id, :now)
