-- takes over what an earlier attempt left; one that is live, can be returned to or is kept for good is not touched
update recsys.publications
set
    as_of = :as_of,
    model_name = :model_name,
    model_version = :model_version,
    state_id = :state_id,
    run_id = :run_id,
    snapshot_id = :snapshot_id,
    code_commit = :code_commit,
    status = 'staged',
    user_count = :user_count,
    row_count = :row_count,
    checksum = :checksum,
    base_publication_id = :base,
    own_row_count = :own_row_count,
    created_at = :now,
    live_at = null,
    ended_at = null,
    items_shown = :items_shown,
    attempt = :attempt,
    decision_id = null,
    audit = null
where
    publication_id = :publication_id
    and placement = :placement
    and kind = :kind
    and status in ('staged', 'failed', 'archived')
    and not (kind = 'archive' and status = 'archived')
