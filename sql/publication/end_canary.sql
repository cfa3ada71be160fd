-- ends the canary that runs on a placement; :model_version null: of any version
update recsys.canaries
set status = :move, fence = fence + 1, ended_at = :now
where
    placement = :placement
    and status = 'running'
    and (
        cast(:model_version as text) is null
        or (model_name = :model_name and model_version = :model_version)
    )
