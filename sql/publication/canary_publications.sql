-- grain: one row per publication that was shown on a placement, in either arm, while its newest canary ran;
-- none if that ended before :ended_after
with
newest as (
    select canary_id, placement, started_at, ended_at
    from recsys.canaries
    where placement = :placement and (ended_at is null or ended_at > :ended_after)
    order by canary_number desc
    limit 1
),

main_moves as (
    select moves.fence, moves.publication_id, moves.moved_at, newest.started_at
    from newest
    inner join recsys.pointer_moves as moves on moves.placement = newest.placement
    where newest.ended_at is null or moves.moved_at < newest.ended_at
)

select moves.publication_id
from newest
inner join recsys.canary_moves as moves on moves.canary_id = newest.canary_id
union
select publication_id
from main_moves
where fence >= coalesce(
    (select max(before.fence) from main_moves as before where before.moved_at <= before.started_at), 0
)
