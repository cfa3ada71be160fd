-- The canonical shop: what every source is mapped to, and all that later stages read.
-- Ids are text, times are naive UTC. Uniqueness of the keys is checked when a source is loaded
-- rather than by indexes, which would make bulk loading several times slower.

create schema if not exists shop;

create table shop.sources (
    source text not null,
    time_zone text not null,
    has_item_history boolean not null,
    load_id text not null,
    until timestamp,
    loaded_at timestamp not null
);

comment on table shop.sources is 'one row per source loaded; time_zone is what its naive times were declared as, until is null when everything was loaded, has_item_history false means that what changes in items has no past';

create table shop.users (
    user_id text not null,
    bucket smallint not null,
    created_at timestamp not null,
    is_personalised boolean not null,
    attributes json
);

comment on table shop.users is 'one row per customer; bucket is 0 to 4095, is_personalised is the consent, attributes may hold segment';

create table shop.items (
    item_id text not null,
    title text not null,
    category text,
    brand text,
    price double precision,
    available boolean not null,
    recommendable boolean not null,
    created_at timestamp not null,
    attributes json
);

comment on table shop.items is 'one row per product, as it is now; category is a path joined by " > "';

create table shop.item_versions (
    item_id text not null,
    valid_from timestamp not null,
    valid_to timestamp,
    title text not null,
    category text,
    brand text,
    price double precision,
    available boolean not null,
    recommendable boolean not null
);

comment on table shop.item_versions is 'one row per change of a product; an item exists from its first valid_from, valid_to is exclusive and null for the newest';

create table shop.events (
    event_id text not null,
    user_id text,
    bucket smallint not null,
    item_id text,
    event_type text not null,
    occurred_at timestamp not null,
    recorded_at timestamp,
    quantity double precision,
    price double precision,
    value double precision,
    basket_id text,
    session_id text,
    query text,
    market text,
    placement text,
    publication_id text,
    position integer,
    attributes json
);

comment on table shop.events is 'one row per thing that happened; user_id is null for a guest (bucket is then -1), recorded_at null means as occurred_at, price is of one unit, value of the whole row, position counts from 1';

create table shop.promotions (
    promotion_id text not null,
    item_id text not null,
    market text,
    kind text not null,
    starts_at timestamp not null,
    ends_at timestamp not null,
    known_at timestamp not null
);

comment on table shop.promotions is 'one row per item, market, period and kind; ends_at is exclusive, a feature uses a row only where known_at is before its cut';

create table shop.campaigns (
    campaign_id text not null,
    user_id text not null,
    kind text,
    starts_at timestamp not null,
    ends_at timestamp not null,
    known_at timestamp not null
);

comment on table shop.campaigns is 'one row per campaign and customer it was sent to; ends_at is exclusive';

create table shop.coupons (
    coupon_id text not null,
    campaign_id text not null,
    item_id text not null,
    known_at timestamp not null
);

comment on table shop.coupons is 'one row per coupon, campaign and item it is valid for';

create table shop.redemptions (
    redemption_id text not null,
    user_id text not null,
    coupon_id text not null,
    campaign_id text,
    redeemed_at timestamp not null
);

comment on table shop.redemptions is 'one row per coupon handed in by a customer in a campaign on a day';

create table shop.suppressions (
    suppression_id text not null,
    item_id text,
    brand text,
    category text,
    placement text,
    starts_at timestamp not null,
    ends_at timestamp,
    created_by text not null,
    reason text not null
);

comment on table shop.suppressions is 'one row per rule: what matches all of item_id, brand and category that are given is not shown, in placement (null: everywhere), while the rule holds; not touched by a load';

create table shop.quarantine (
    source_table text not null,
    "row" json not null,
    rule text not null,
    run_id text not null,
    seen_at timestamp not null
);

comment on table shop.quarantine is 'one row per rejected row, as it was, with the rule that it broke; run_id is the load or the run that rejected it';

create table shop.cleaning (
    source text not null,
    rule text not null,
    reason text not null,
    row_count bigint not null,
    load_id text not null,
    loaded_at timestamp not null
);

comment on table shop.cleaning is 'one row per load and class of rows that cleaning changed, marked or left out, with how many';
