-- What is withheld and who said so, canaries, archived publications, and the way from a row to its decision.

-- Rules themselves stand in shop.suppressions, which says what holds; here is who changed them.
create table recsys.suppression_changes (
    suppression_id text not null,
    change text not null check (change in ('added', 'ended')),
    changed_by text not null,
    changed_at timestamp not null,
    reason text not null,
    primary key (suppression_id, change)
);

comment on table recsys.suppression_changes is 'one row per rule and change, append-only: who began and who ended it, and why.';

create table recsys.consent_changes (
    change_number bigint primary key,
    user_id text not null,
    is_granted boolean not null,
    changed_by text not null,
    changed_at timestamp not null,
    reason text not null
);

comment on table recsys.consent_changes is 'one row per consent that was withdrawn or granted here, append-only, ordered by change_number.';

create view recsys.withdrawn_consents as
select changes.user_id
from recsys.consent_changes as changes
where
    not changes.is_granted
    and not exists (
        select 1
        from recsys.consent_changes as later
        where later.user_id = changes.user_id and later.change_number > changes.change_number
    );

comment on view recsys.withdrawn_consents is 'one row per customer whose consent was withdrawn here and not granted since, whatever the shop''s own tables say.';

-- The ledger has one more verdict. One of the two engines can't change a check, so the table is made anew.
create table recsys.decisions_with_canaries (
    decision_number bigint primary key,
    decision_id text not null,
    placement text not null,
    model_name text not null,
    model_version text not null,
    verdict text not null check (verdict in ('approved', 'rejected', 'rolled_back', 'canary')),
    decided_by text not null,
    decided_at timestamp not null,
    channel text not null check (channel in ('policy', 'airflow', 'mlflow', 'cli')),
    reason text not null,
    restored_model_name text,
    restored_model_version text
);

insert into recsys.decisions_with_canaries (
    decision_number,
    decision_id,
    placement,
    model_name,
    model_version,
    verdict,
    decided_by,
    decided_at,
    channel,
    reason,
    restored_model_name,
    restored_model_version
)
select
    decision_number,
    decision_id,
    placement,
    model_name,
    model_version,
    verdict,
    decided_by,
    decided_at,
    channel,
    reason,
    restored_model_name,
    restored_model_version
from recsys.decisions;

drop table recsys.decisions;

alter table recsys.decisions_with_canaries rename to decisions;

comment on table recsys.decisions is 'one row per decision, append-only, ordered by decision_number. Canary allows a version for a share of the customers, or none (shadow). A rolled_back row names the version that was undone and the one that was restored.';

alter table recsys.publications add column kind text not null default 'main';

alter table recsys.publications add column decision_id text;

update recsys.publications
set decision_id = (
    select max(decisions.decision_id)
    from recsys.decisions as decisions
    where
        decisions.placement = recsys.publications.placement
        and decisions.model_name = recsys.publications.model_name
        and decisions.model_version = recsys.publications.model_version
        and decisions.verdict = 'approved'
        and decisions.decided_at <= recsys.publications.live_at
)
where live_at is not null;

comment on table recsys.publications is 'one row per published set of lists. Kind is main, canary (for a share of the customers, or none) or archive (what would have been published, never live). decision_id allowed it to be live. attempt is the fencing token of the attempt that staged it, previous_publication_id what was live before it.';

create table recsys.canaries (
    placement text not null,
    canary_number bigint not null,
    canary_id text not null,
    model_name text not null,
    model_version text not null,
    publication_id text not null,
    salt text not null,
    share double precision not null check (share >= 0 and share <= 1),
    highest_hash text not null,
    status text not null check (status in ('running', 'promoted', 'withdrawn', 'rolled_back')),
    fence bigint not null,
    started_at timestamp not null,
    ended_at timestamp,
    primary key (placement, canary_number)
);

comment on table recsys.canaries is 'one row per canary; at most one runs on a placement. Customers are in it if the first 8 hexadecimal digits of md5(salt:user_id) are at most highest_hash (empty: nobody, a shadow). The fence counts its moves.';

create table recsys.canary_moves (
    canary_id text not null,
    fence bigint not null,
    move text not null check (move in ('started', 'widened', 'refreshed', 'promoted', 'withdrawn', 'rolled_back')),
    publication_id text not null,
    share double precision not null,
    decision_id text,
    moved_at timestamp not null,
    primary key (canary_id, fence)
);

comment on table recsys.canary_moves is 'one row per move of a canary, append-only: what was shown to which share when; decision_id is null for newer lists of the same version.';

create view recsys.published_rows as
select
    publications.placement,
    publications.publication_id,
    publications.kind,
    publications.status,
    lists.subject_id as user_id,
    list_rows.rank,
    list_rows.item_id,
    publications.model_name,
    publications.model_version,
    publications.state_id,
    publications.run_id,
    publications.snapshot_id,
    publications.as_of,
    publications.code_commit,
    publications.decision_id,
    decisions.verdict,
    decisions.decided_by,
    decisions.decided_at,
    decisions.channel,
    decisions.reason as decision_reason
from recsys.publications as publications
inner join recsys.publication_lists as lists
    on lists.publication_id = publications.publication_id
inner join recsys.list_rows as list_rows
    on list_rows.placement = publications.placement
    and list_rows.subject_id = lists.subject_id
    and list_rows.list_hash = lists.list_hash
left join recsys.decisions as decisions
    on decisions.decision_id = publications.decision_id;

comment on view recsys.published_rows is 'one row per stored publication, subject and rank (spare rows too, nothing withheld), with all that it came from. Join it to live_recommendations by publication_id, user_id and item_id.';

-- A reader of this view sees, for each customer, one publication, old or new: pointers and canaries move in one
-- transaction. Suppressions and withdrawn consent are looked up here, so they hold at once. Default lists are
-- those of the pointer; a customer's arm is decided by the hash alone, whether the arm has a list for them or not.
create or replace view recsys.live_recommendations as
with
running as (
    select placement, publication_id, salt, highest_hash
    from recsys.canaries
    where status = 'running' and highest_hash <> ''
),

served as (
    select placement, bucket_from, bucket_to, publication_id, false as is_canary
    from recsys.pointers
    union all
    select placement, cast(0 as smallint), cast(4095 as smallint), publication_id, true
    from running
),

pointed as (
    select
        served.placement,
        served.bucket_from,
        served.bucket_to,
        served.is_canary,
        running.salt,
        running.highest_hash,
        publications.publication_id,
        publications.model_version,
        publications.as_of,
        publications.items_shown
    from served
    inner join recsys.publications as publications
        on publications.publication_id = served.publication_id
    left join running on running.placement = served.placement
),

permitted as (
    select
        pointed.placement,
        pointed.publication_id,
        pointed.model_version,
        pointed.as_of,
        pointed.items_shown,
        lists.subject_id,
        lists.list_hash
    from pointed
    inner join recsys.publication_lists as lists
        on lists.publication_id = pointed.publication_id
        and lists.bucket between pointed.bucket_from and pointed.bucket_to
    where
        lists.bucket = -1
        or (
            pointed.is_canary = case
                when pointed.salt is null then false
                else substr(md5(pointed.salt || ':' || lists.subject_id), 1, 8) collate "C" <= pointed.highest_hash
            end
            and exists (
                select 1
                from shop.users as users
                where users.user_id = lists.subject_id and users.is_personalised
            )
            and not exists (
                select 1
                from recsys.withdrawn_consents as withdrawn
                where withdrawn.user_id = lists.subject_id
            )
        )
),

unsuppressed as (
    select
        permitted.placement,
        permitted.subject_id,
        permitted.publication_id,
        permitted.model_version,
        permitted.as_of,
        permitted.items_shown,
        list_rows.item_id,
        list_rows.score,
        list_rows.source,
        list_rows.reason,
        list_rows.propensity,
        row_number() over (
            partition by permitted.placement, permitted.subject_id order by list_rows.rank
        ) as shown_rank
    from permitted
    inner join recsys.list_rows as list_rows
        on list_rows.placement = permitted.placement
        and list_rows.subject_id = permitted.subject_id
        and list_rows.list_hash = permitted.list_hash
    left join shop.items as items on items.item_id = list_rows.item_id
    where not exists (
        select 1
        from shop.suppressions as rules
        where
            (rules.placement is null or rules.placement = permitted.placement)
            and rules.starts_at <= (now() at time zone 'UTC')
            and (rules.ends_at is null or rules.ends_at > (now() at time zone 'UTC'))
            and coalesce(rules.item_id, rules.brand, rules.category) is not null
            and (rules.item_id is null or rules.item_id = list_rows.item_id)
            and (rules.brand is null or rules.brand = items.brand)
            and (
                rules.category is null
                or rules.category = items.category
                or starts_with(items.category, rules.category || ' > ')
            )
    )
)

select
    placement,
    subject_id as user_id,
    cast(shown_rank as integer) as rank,
    item_id,
    score,
    source,
    reason,
    publication_id,
    model_version,
    as_of,
    propensity
from unsuppressed
where shown_rank <= items_shown;

comment on view recsys.live_recommendations is 'one row per placement, user and rank: what customers see now. Propensity is how probable it was that the row was drawn, null where it was not. user_id * and segment:name are the default lists.';
