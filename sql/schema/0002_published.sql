-- The published tables: what readers see, what was decided, and how it is stored behind the view.
-- The view recsys.live_recommendations and the columns of publications and decisions named in the
-- documentation are a contract with other programs. The other tables may change.

create schema if not exists recsys;

create table recsys.publications (
    publication_id text primary key,
    placement text not null,
    as_of timestamp not null,
    model_name text not null,
    model_version text not null,
    state_id text not null,
    run_id text not null,
    snapshot_id text not null,
    code_commit text not null,
    status text not null check (status in ('staged', 'live', 'superseded', 'withdrawn', 'failed', 'archived')),
    user_count bigint not null,
    row_count bigint not null,
    checksum text not null,
    created_at timestamp not null,
    live_at timestamp,
    ended_at timestamp,
    items_shown integer not null,
    attempt text not null,
    previous_publication_id text,
    audit json
);

comment on table recsys.publications is 'one row per published set of lists. attempt is the fencing token of the attempt that staged it, previous_publication_id what was live before it.';

-- Lists are shared: a publication names a list by its hash, and a list that did not change since an
-- earlier publication is stored once. Neither table has an index here, since an index makes bulk loading
-- slow and the embedded engine doesn't need one.
create table recsys.publication_lists (
    publication_id text not null,
    bucket smallint not null,
    subject_id text not null,
    list_hash bigint not null
);

comment on table recsys.publication_lists is 'one row per publication and subject. Bucket is -1 for default lists (subject * or segment:name), else that of the user.';

create table recsys.list_rows (
    placement text not null,
    subject_id text not null,
    list_hash bigint not null,
    rank smallint not null,
    item_id text,
    score double precision,
    source text,
    reason text
);

comment on table recsys.list_rows is 'one row per placement, subject, list and rank. Lists hold spare rows beyond the items that are shown. The audit finds nulls, and says where, before a list goes live.';

create table recsys.list_storage (
    placement text primary key,
    fence bigint not null
);

comment on table recsys.list_storage is 'one row per placement. Whoever adds or removes lists updates it first, so that no shared list is removed while another publication begins to use it.';

create table recsys.pointers (
    placement text not null,
    bucket_from smallint not null,
    bucket_to smallint not null,
    publication_id text,
    fence bigint not null,
    moved_at timestamp,
    primary key (placement, bucket_from)
);

comment on table recsys.pointers is 'one row per placement and range of buckets: the only statement of what is live. The range that begins at -1 holds the default lists and its fence counts the moves.';

create table recsys.pointer_moves (
    placement text not null,
    fence bigint not null,
    publication_id text not null,
    from_publication_id text,
    cause text not null check (cause in ('published', 'rolled_back')),
    moved_at timestamp not null,
    primary key (placement, fence)
);

comment on table recsys.pointer_moves is 'one row per move of a pointer, append-only: what was live when.';

create table recsys.decisions (
    decision_number bigint primary key,
    decision_id text not null,
    placement text not null,
    model_name text not null,
    model_version text not null,
    verdict text not null check (verdict in ('approved', 'rejected', 'rolled_back')),
    decided_by text not null,
    decided_at timestamp not null,
    channel text not null check (channel in ('policy', 'airflow', 'mlflow', 'cli')),
    reason text not null,
    restored_model_name text,
    restored_model_version text
);

comment on table recsys.decisions is 'one row per decision, append-only, ordered by decision_number. A rolled_back row names the version that was undone and the one that was restored.';

create table recsys.alias_projection (
    model_name text not null,
    alias text not null check (alias in ('champion', 'challenger', 'previous')),
    wanted_version text,
    written_version text,
    wanted_at timestamp not null,
    written_at timestamp,
    primary key (model_name, alias)
);

comment on table recsys.alias_projection is 'one row per registered model and alias: what the alias should be (null: absent) and what was last written to MLflow.';

-- A reader of this view sees one publication per range of buckets, old or new, since the pointer moves in
-- one transaction. Suppressions and withdrawn consent are looked up here, so they hold at once.
create view recsys.live_recommendations as
with
pointed as (
    select
        pointers.placement,
        pointers.bucket_from,
        pointers.bucket_to,
        publications.publication_id,
        publications.model_version,
        publications.as_of,
        publications.items_shown
    from recsys.pointers as pointers
    inner join recsys.publications as publications
        on publications.publication_id = pointers.publication_id
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
        or exists (
            select 1
            from shop.users as users
            where users.user_id = lists.subject_id and users.is_personalised
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
    as_of
from unsuppressed
where shown_rank <= items_shown;

comment on view recsys.live_recommendations is 'one row per placement, user and rank: what customers see now. user_id * and segment:name are the default lists.';
