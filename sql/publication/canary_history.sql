-- grain: one row per change of what was shown on a placement since a canary began, in their order; first what was
-- live for everybody when it began. Share and move are null for changes of what is live for everybody, which are left
-- out from its end on.
with
chosen as (
    select canary_id, placement, started_at, ended_at
    from recsys.canaries
    where canary_id = :canary_id
),

main_moves as (
    select moves.fence, moves.publication_id, moves.moved_at, chosen.started_at
    from chosen
    inner join recsys.pointer_moves as moves on moves.placement = chosen.placement
    where chosen.ended_at is null or moves.moved_at < chosen.ended_at
),

shown as (
    select
        0 as arm,
        fence,
        publication_id,
        cast(null as double precision) as share,
        cast(null as text) as move,
        moved_at
    from main_moves
    where fence >= coalesce(
        (select max(before.fence) from main_moves as before where before.moved_at <= before.started_at), 0
    )
    union all
    select 1 as arm, moves.fence, moves.publication_id, moves.share, moves.move, moves.moved_at
    from chosen
    inner join recsys.canary_moves as moves on moves.canary_id = chosen.canary_id
)

select
    shown.arm,
    shown.publication_id,
    shown.share,
    shown.move,
    shown.moved_at,
    publications.as_of,
    publications.status
from shown
inner join recsys.publications as publications on publications.publication_id = shown.publication_id
order by shown.moved_at, shown.arm, shown.fence
