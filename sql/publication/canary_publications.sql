-- grain: one row per publication that was shown on a placement, in either arm, since its running canary began
with
running as (
    select canary_id, placement, publication_id, started_at
    from recsys.canaries
    where placement = :placement and status = 'running'
)

select publication_id
from running
union
select moves.publication_id
from running
inner join recsys.canary_moves as moves on moves.canary_id = running.canary_id
union
select moves.publication_id
from running
inner join recsys.pointer_moves as moves on moves.placement = running.placement
where moves.moved_at >= running.started_at
union
select moves.from_publication_id
from running
inner join recsys.pointer_moves as moves on moves.placement = running.placement
where moves.moved_at >= running.started_at and moves.from_publication_id is not null
