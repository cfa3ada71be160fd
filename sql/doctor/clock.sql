-- One row: the server's clock in UTC.
select now() at time zone 'UTC' as moment, current_user as role_name
