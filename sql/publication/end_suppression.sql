-- a rule that has ended by itself keeps its end
update shop.suppressions
set ends_at = :now
where suppression_id = :suppression_id and (ends_at is null or ends_at > :now)
