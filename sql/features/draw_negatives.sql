-- Keeps, of each customer who has any label among their candidates, those and $negatives others drawn at random.
create or replace temp table candidates as
with labelled as (
    select
        candidates.*,
        labels.item_idx is not null as is_positive
    from candidates
    left join labels on candidates.user_idx = labels.user_idx and candidates.item_idx = labels.item_idx
),

drawn as (
    select
        *,
        bool_or(is_positive) over (partition by user_idx) as has_positive,
        row_number() over (
            partition by user_idx, is_positive order by hash(user_idx, item_idx, $seed), item_idx
        ) as draw
    from labelled
)

select * exclude (is_positive, has_positive, draw)
from drawn
where has_positive and (is_positive or draw <= $negatives)
