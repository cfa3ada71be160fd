-- Run for one range of customers after the other: what features of products need of their purchase lines.
select
    cut_id,
    cut_at,
    user_idx,
    item_idx,
    market,
    quantity,
    value,
    age
from purchases
where user_idx >= $user_from and user_idx < $user_to
