-- holds the row until the transaction ends: others who add or remove lists wait
update recsys.list_storage
set fence = fence + 1
where placement = :placement
