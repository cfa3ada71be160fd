-- compare-and-set: changes nothing if somebody moved or ended the canary since it was read
update recsys.canaries
set
    publication_id = :publication_id,
    share = :share,
    highest_hash = :highest_hash,
    fence = :fence + 1
where canary_id = :canary_id and fence = :fence and status = 'running'
