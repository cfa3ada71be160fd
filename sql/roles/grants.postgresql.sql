-- What the roles may do. By the owner's user, once; repeating it changes nothing. From then on every migration repeats it.
-- A warehouse that was restored without privileges needs it again:
--   psql -v ON_ERROR_STOP=1 -d WAREHOUSE -U etl_admin -f grants.postgresql.sql

-- Reads the shop. What a snapshot rejects is put aside, which is all that it writes.
grant usage on schema shop to recsys_extract;

grant select on all tables in schema shop to recsys_extract;

grant insert, delete on shop.quarantine to recsys_extract;

-- Whoever was erased is left out.
grant usage on schema recsys to recsys_extract;

grant select, insert on recsys.do_not_process to recsys_extract;

-- Decides, publishes and measures; in the shop's schema it writes what people change here: rules, withheld products,
-- withdrawn consent.
grant usage on schema shop, recsys to recsys_publish;

grant select on all tables in schema shop to recsys_publish;

grant insert, delete on shop.quarantine to recsys_publish;

grant insert, update, delete on shop.suppressions, shop.item_rules to recsys_publish;

grant update (is_personalised) on shop.users to recsys_publish;

grant select, insert, update, delete on all tables in schema recsys to recsys_publish;

-- What happened stays written.
revoke update, delete on
    recsys.decisions,
    recsys.pointer_moves,
    recsys.canary_moves,
    recsys.suppression_changes,
    recsys.consent_changes,
    recsys.measurements,
    recsys.do_not_process
from recsys_publish;

revoke delete on recsys.erasures from recsys_publish;

revoke insert, update, delete on recsys.schema_migrations, recsys.list_parts from recsys_publish;

grant execute on function
    recsys.new_list_part(text),
    recsys.attach_list_part(text),
    recsys.uses_list_part(text, bigint),
    recsys.remove_list_orphans(text),
    recsys.drop_unused_list_parts(text),
    recsys.count_lists_of(text)
to recsys_publish;

-- Sees what customers see.
grant usage on schema recsys to recsys_read;

grant select on recsys.live_recommendations to recsys_read;
