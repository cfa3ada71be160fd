-- What people did about quarantined rows. It stands apart, since a load replaces what earlier loads had put into
-- quarantine: a row that comes again is found by its content, with the correction that was made.

create table shop.quarantine_repairs (
    quarantine_id text not null,
    status text not null check (status in ('repaired', 'replayed', 'dropped')),
    "row" json,
    changed_by text not null,
    changed_at timestamp not null
);

comment on table shop.quarantine_repairs is 'one row per quarantined row that somebody took up; quarantine_id is the md5 of source_table, rule and row, joined by |; row is the corrected one (null: as it was); replayed is in the canonical table again, dropped is never to be, and a row that was seen in quarantine after it was replayed waits again';
