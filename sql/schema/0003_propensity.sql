-- Rows that were drawn rather than ranked carry the probability of the draw, so that what customers do with them can be
-- weighed. The column stands last: programs that read the view by position go on.

alter table recsys.list_rows add column propensity double precision;

-- A reader of this view sees one publication per range of buckets, old or new, since the pointer moves in
-- one transaction. Suppressions and withdrawn consent are looked up here, so they hold at once.
create or replace view recsys.live_recommendations as
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
