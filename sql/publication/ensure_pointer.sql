-- the first row of a placement: nothing is live yet
insert into recsys.pointers (placement, bucket_from, bucket_to, publication_id, fence)
values (:placement, -1, 4095, null, 0)
on conflict do nothing
