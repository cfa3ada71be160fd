-- One customer's list is read by every page of the shop, so it must not cost a look at all lists. The embedded engine
-- scans its columns quickly and would only load more slowly, so it has none of these.

create index publication_lists_by_subject on recsys.publication_lists (publication_id, subject_id);

create index list_rows_by_subject on recsys.list_rows (placement, subject_id, list_hash);

create index consent_changes_by_user on recsys.consent_changes (user_id, change_number);

create index users_by_id on shop.users (user_id);

create index items_by_id on shop.items (item_id);
