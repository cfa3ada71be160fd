-- grain: user_idx, item_idx
-- sequel_last: how often the product followed the customer's last one, nearer events counting more
-- sequel_second: the same of the one before it
-- sequel_third: the same of the one before that
-- sequel_recent: the same of all recent ones, each half of the one after it
-- sequel_all: the same of all recent ones alike
-- next_last: how often it followed the last one at once
-- next_recent: how often it followed any of the recent ones at once
-- precedent_last: how often it came before the last one
-- precedent_all: how often it came before any of the recent ones
-- likeness_last: likeness to the last one
-- likeness_best: greatest likeness to any of the recent ones
-- likeness_all: sum of these
-- related_count: recent ones that it is related to
-- related_recency: the latest of them
select
    candidates.user_idx,
    candidates.item_idx,
    max(related.sequel) filter (recent.recency = 1) as sequel_last,
    max(related.sequel) filter (recent.recency = 2) as sequel_second,
    max(related.sequel) filter (recent.recency = 3) as sequel_third,
    sum(cast(related.sequel * 0.5 ** (recent.recency - 1) as decimal(18, 9))) as sequel_recent,
    sum(cast(related.sequel as decimal(18, 9))) as sequel_all,
    max(related.next) filter (recent.recency = 1) as next_last,
    sum(cast(related.next as decimal(18, 9))) as next_recent,
    max(related.precedent) filter (recent.recency = 1) as precedent_last,
    sum(cast(related.precedent as decimal(18, 9))) as precedent_all,
    max(related.likeness) filter (recent.recency = 1) as likeness_last,
    max(related.likeness) as likeness_best,
    sum(cast(related.likeness as decimal(18, 9))) as likeness_all,
    count(*) as related_count,
    min(recent.recency) as related_recency
from candidates
inner join recent on candidates.user_idx = recent.user_idx
inner join related on recent.item_idx = related.from_item and candidates.item_idx = related.to_item
group by candidates.user_idx, candidates.item_idx
