-- Keeps, of each customer who bought any of their candidates, those bought and $negatives others drawn at random.
create or replace temp table candidates as
with labelled as (
    select
        candidates.*,
        bought.item_idx is not null as is_bought
    from candidates
    left join bought on candidates.user_idx = bought.user_idx and candidates.item_idx = bought.item_idx
),

drawn as (
    select
        *,
        bool_or(is_bought) over (partition by user_idx) as has_bought,
        row_number() over (
            partition by user_idx, is_bought order by hash(user_idx, item_idx, $seed), item_idx
        ) as draw
    from labelled
)

select * exclude (is_bought, has_bought, draw)
from drawn
where has_bought and (is_bought or draw <= $negatives)
