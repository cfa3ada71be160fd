-- the end of the canary that runs on a placement; :model_version null: of any version
insert into recsys.canary_moves (canary_id, fence, move, publication_id, share, decision_id, moved_at)
select canary_id, fence + 1, :move, publication_id, share, :decision_id, :now
from recsys.canaries
where
    placement = :placement
    and status = 'running'
    and (
        cast(:model_version as text) is null
        or (model_name = :model_name and model_version = :model_version)
    )
