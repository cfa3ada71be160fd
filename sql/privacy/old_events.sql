delete from shop.events
where event_type = :kind and occurred_at < :before
