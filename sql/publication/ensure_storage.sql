insert into recsys.list_storage (placement, fence)
values (:placement, 0)
on conflict do nothing
