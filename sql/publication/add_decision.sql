-- adds one decision; the primary key refuses a number that was taken meanwhile
insert into recsys.decisions (
    decision_number,
    decision_id,
    placement,
    model_name,
    model_version,
    verdict,
    decided_by,
    decided_at,
    channel,
    reason,
    restored_model_name,
    restored_model_version
)
values (
    :decision_number,
    :decision_id,
    :placement,
    :model_name,
    :model_version,
    :verdict,
    :decided_by,
    :decided_at,
    :channel,
    :reason,
    :restored_model_name,
    :restored_model_version
)
