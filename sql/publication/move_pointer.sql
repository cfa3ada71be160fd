-- compare-and-set: changes nothing if somebody moved the pointer since it was read
update recsys.pointers
set
    bucket_to = 4095,
    publication_id = :publication_id,
    fence = :fence + 1,
    moved_at = :now
where
    placement = :placement
    and bucket_from = -1
    and fence = :fence
    and publication_id is not distinct from cast(:expected as text)
