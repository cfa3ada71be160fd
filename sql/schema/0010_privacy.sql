-- Who was erased and must not be processed again, and what became of each erasure. Marks are keyed hashes: neither
-- table tells who it is. RECSYS_HOME/privacy/do_not_process.json has the same list, for a warehouse that was restored.

create table recsys.do_not_process (
    mark text not null,
    erasure_id text not null,
    listed_at timestamp not null
);

comment on table recsys.do_not_process is 'one row per customer who was erased; mark is a keyed hash of the id, by which loads and snapshots leave out what still comes of them.';

create table recsys.erasures (
    erasure_id text not null,
    mark text not null,
    user_id text,
    status text not null check (status in ('begun', 'removed', 'done')),
    requested_by text not null,
    reason text not null,
    requested_at timestamp not null,
    finished_at timestamp,
    proof text
);

comment on table recsys.erasures is 'one row per erasure. user_id is there only while the status is begun, so that a killed erasure can go on; removed means that only the files of the warehouse are still to be rewritten. proof is JSON: what was removed where, and which models had learned from it.';
