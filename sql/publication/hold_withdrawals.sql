-- a withdrawal holds until the consent is granted again, whatever a load brought
update shop.users
set is_personalised = false
where is_personalised and user_id in (select user_id from recsys.withdrawn_consents)
