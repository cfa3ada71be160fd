-- grain: one row per publication, newest first; null: all
select
    publication_id,
    placement,
    as_of,
    model_name,
    model_version,
    state_id,
    run_id,
    snapshot_id,
    code_commit,
    status,
    user_count,
    row_count,
    checksum,
    created_at,
    live_at,
    ended_at,
    items_shown,
    attempt,
    previous_publication_id,
    kind,
    decision_id,
    base_publication_id,
    own_row_count,
    cast(audit as text) as audit
from recsys.publications
where
    (cast(:placement as text) is null or placement = :placement)
    and (cast(:publication_id as text) is null or publication_id = :publication_id)
order by coalesce(live_at, created_at) desc, publication_id
