"""Every table and column name that Python code uses, spelled once.

SQL files spell them out, since they are read as SQL. What is not named here does not pass between rooms.
"""

from typing import Final

# --- schemas and tables -------------------------------------------------------------------------
SHOP: Final = "shop"
PUBLISHED: Final = "recsys"

USERS: Final = "users"
ITEMS: Final = "items"
ITEM_VERSIONS: Final = "item_versions"
PROMOTIONS: Final = "promotions"
ITEM_RULES: Final = "item_rules"
CAMPAIGNS: Final = "campaigns"
COUPONS: Final = "coupons"
REDEMPTIONS: Final = "redemptions"
EVENTS: Final = "events"
GUEST_EVENTS: Final = "guest_events"
SOURCES: Final = "sources"
QUARANTINE: Final = "quarantine"

# --- canonical columns --------------------------------------------------------------------------
USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
BUCKET: Final = "bucket"
CREATED_AT: Final = "created_at"
IS_PERSONALISED: Final = "is_personalised"
ATTRIBUTES: Final = "attributes"
TITLE: Final = "title"
CATEGORY: Final = "category"
BRAND: Final = "brand"
AVAILABLE: Final = "available"
RECOMMENDABLE: Final = "recommendable"
EVENT_ID: Final = "event_id"
EVENT_TYPE: Final = "event_type"
OCCURRED_AT: Final = "occurred_at"
RECORDED_AT: Final = "recorded_at"
QUANTITY: Final = "quantity"
VALUE: Final = "value"
PRICE: Final = "price"
BASKET_ID: Final = "basket_id"
SEGMENT: Final = "segment"
RULE_ID: Final = "rule_id"
KIND: Final = "kind"
WEIGHT: Final = "weight"
OTHER_ITEM_ID: Final = "other_item_id"
OTHER_BRAND: Final = "other_brand"
OTHER_CATEGORY: Final = "other_category"
STARTS_AT: Final = "starts_at"
ENDS_AT: Final = "ends_at"
SEASON_FROM: Final = "season_from"
SEASON_TO: Final = "season_to"
KNOWN_AT: Final = "known_at"
CREATED_BY: Final = "created_by"
MARKET: Final = "market"
CAMPAIGN_ID: Final = "campaign_id"
COUPON_ID: Final = "coupon_id"
REDEMPTION_ID: Final = "redemption_id"
REDEEMED_AT: Final = "redeemed_at"
VALID_FROM: Final = "valid_from"
VALID_TO: Final = "valid_to"

EVENT_TYPES: Final = (
    "view",
    "cart",
    "purchase",
    "return",
    "rating",
    "review",
    "search",
    "impression",
    "click",
    "dismiss",
)
PURCHASE: Final = "purchase"

# --- inside a run -------------------------------------------------------------------------------
USER_IDX: Final = "user_idx"  # dense int32 within one snapshot, ordered by (bucket, user_id)
ITEM_IDX: Final = "item_idx"  # dense int32 within one snapshot, ordered by item_id
OTHER_ITEM_IDX: Final = "other_item_idx"
SUBJECT_ID: Final = "subject_id"
PLACEMENT: Final = "placement"
SCORE: Final = "score"
RANK: Final = "rank"
LABEL: Final = "label"
MODEL: Final = "model"

# --- published ----------------------------------------------------------------------------------
PUBLICATION_ID: Final = "publication_id"
SOURCE: Final = "source"
REASON: Final = "reason"
PROPENSITY: Final = "propensity"
MODEL_NAME: Final = "model_name"
MODEL_VERSION: Final = "model_version"
AS_OF: Final = "as_of"
STATUS: Final = "status"

DEFAULT_SUBJECT: Final = "*"  # the list for visitors and customers whom a publication did not know
SEGMENT_PREFIX: Final = "segment:"  # subject of the default list of one segment

BUCKETS: Final = 4096
