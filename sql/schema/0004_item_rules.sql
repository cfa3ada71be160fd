-- What the shop itself knows of its products, written down as rules. Uniqueness of rule_id is checked when rules are
-- loaded, as that of the other canonical keys is.

create table shop.item_rules (
    rule_id text not null,
    kind text not null check (kind in ('goes_with', 'replaces', 'never_together', 'boost')),
    item_id text,
    brand text,
    category text,
    other_item_id text,
    other_brand text,
    other_category text,
    weight double precision not null default 1 check (weight > 0),
    placement text,
    starts_at timestamp,
    ends_at timestamp,
    season_from text,
    season_to text,
    created_by text not null,
    reason text,
    known_at timestamp not null
);

comment on table shop.item_rules is 'one row per rule about products: those of exactly one of item_id, brand and category go with (goes_with), take the place of (replaces) or never stand in a list with (never_together) those of exactly one of other_item_id, other_brand and other_category, or are proposed by themselves (boost); a category covers all below it. In placement (null: everywhere), while starts_at <= now < ends_at (null: open) and the day lies between season_from and season_to (MM-DD, both included, may wrap over New Year). Used only from after known_at on; not touched by a load';
