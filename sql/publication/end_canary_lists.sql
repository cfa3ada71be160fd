-- the lists of the canary that runs on a placement; :model_version null: of any version
update recsys.publications
set status = :status, ended_at = :now
where
    kind = 'canary'
    and publication_id in (
        select canaries.publication_id
        from recsys.canaries as canaries
        where
            canaries.placement = :placement
            and canaries.status = 'running'
            and (
                cast(:model_version as text) is null
                or (canaries.model_name = :model_name and canaries.model_version = :model_version)
            )
    )
