-- A publication may carry the lists of some customers only; for everybody else those of its base count, a publication
-- with lists of all. A base has none itself.

alter table recsys.publications add column base_publication_id text;

alter table recsys.publications add column own_row_count bigint;

update recsys.publications
set own_row_count = row_count;

comment on table recsys.publications is 'one row per published set of lists. Kind is main, canary (for a share of the customers, or none) or archive (what would have been published, never live). base_publication_id is whose lists count for customers of whom it carries none (null: it has the lists of all); own_row_count is of the lists that it carries, row_count and user_count of all that count. decision_id allowed it to be live. attempt is the fencing token of the attempt that staged it, previous_publication_id what was live before it.';

create view recsys.list_sources as
select publication_id, publication_id as source_id, cast(null as text) as newer_id
from recsys.publications
union all
select publication_id, base_publication_id, publication_id
from recsys.publications
where base_publication_id is not null;

comment on view recsys.list_sources is 'one row per publication and publication whose lists count in it: its own, and those of its base (source_id) but for subjects of whom newer_id carries a list.';

create view recsys.whole_lists as
select sources.publication_id, lists.bucket, lists.subject_id, lists.list_hash
from recsys.list_sources as sources
inner join recsys.publication_lists as lists on lists.publication_id = sources.source_id
left join recsys.publication_lists as newer
    on newer.publication_id = sources.newer_id and newer.subject_id = lists.subject_id
where newer.subject_id is null;

comment on view recsys.whole_lists is 'one row per publication and subject: the list that counts, its own or that of its base.';

create or replace view recsys.published_rows as
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
inner join recsys.whole_lists as lists
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
    inner join recsys.whole_lists as lists
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
