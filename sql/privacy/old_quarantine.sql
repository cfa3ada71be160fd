delete from shop.quarantine
where seen_at < :before
