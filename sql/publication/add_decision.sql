-- Clocks of two machines differ. The ledger's order is that of its numbers, and its times never contradict it: a decision
-- is not earlier than the one before it on its placement, nor than what MLflow was told of its model before.
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
select
    :decision_number,
    :decision_id,
    :placement,
    :model_name,
    :model_version,
    :verdict,
    :decided_by,
    case
        when clock.latest > cast(:decided_at as timestamp) then clock.latest + interval '1 microsecond'
        else cast(:decided_at as timestamp)
    end,
    :channel,
    :reason,
    :restored_model_name,
    :restored_model_version
from (
    select
        greatest(
            (select max(decided_at) from recsys.decisions where placement = :placement),
            (select max(written_at) from recsys.alias_projection where model_name = :model_name)
        ) as latest
) as clock
