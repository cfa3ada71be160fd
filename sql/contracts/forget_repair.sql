delete from shop.quarantine_repairs
where quarantine_id = :id
