delete from shop.quarantine
where run_id like '{prefix}%'
