-- One row per customer and rank of the lists in waiting, with its rank under the caps: first the rows that got a
-- place, then those that never stood before a full one, last those that did.
with reached as (
    select
        subject_id,
        count(*) as places,
        max(rank) as last_rank
    from admitted
    group by subject_id
)

select
    waiting.subject_id,
    waiting.rank as former_rank,
    row_number() over (
        partition by waiting.subject_id
        order by
            case
                when admitted.rank is not null then 0
                when reached.places = $shown and waiting.rank > reached.last_rank then 1
                else 2
            end,
            waiting.rank
    ) as rank
from waiting
left join admitted on waiting.subject_id = admitted.subject_id and waiting.rank = admitted.rank
left join reached on waiting.subject_id = reached.subject_id
