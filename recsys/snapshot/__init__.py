"""A snapshot: what the warehouse held as of a moment, as Parquet, immutable, named by its content.

A folder ``snapshots/<id>`` with

- ``users.parquet``   user_idx (dense, ordered by bucket and id), user_id, bucket, is_personalised,
  segment, attributes
- ``items.parquet``   item_idx (dense, ordered by id), item_id, title, category, brand, recommendable,
  exists_from, attributes
- ``item_versions.parquet``  item_idx, valid_from, valid_to, title, category, brand, recommendable: what products
  were at earlier moments, ordered by product and time
- ``promotions.parquet``  item_idx, market, starts_at, ends_at, known_at
- ``item_rules.parquet``  what the shop wrote down about products, their ids as item_idx and other_item_idx; see
  :mod:`recsys.knowledge`
- ``events/NN.parquet``  the events of one range of buckets, ordered by customer, time and id
- ``events/guests.parquet``
- ``manifest.json``   as_of, source, row counts, schema, the files' hashes, what was rejected by rule, and a profile of
  the events, which the next snapshot is compared with

What the contracts found stands in ``contracts/<id>.json``; what they stopped last, in ``contracts/stopped.json``.

Every later stage reads this, never the warehouse. Taking one reads only the events that are new or changed since the
one before; see :mod:`recsys.snapshot.extracting`.
"""

from recsys.snapshot.base import EXTRACTED_EVENTS, EXTRACTS
from recsys.snapshot.checking import last_good, newest_report
from recsys.snapshot.opening import KIND, MANIFEST, PARTS, SUCCESSORS, TABLES, Snapshot
from recsys.snapshot.taking import describe_files, resolve_as_of, take_snapshot

__all__ = [
    "EXTRACTED_EVENTS",
    "EXTRACTS",
    "KIND",
    "MANIFEST",
    "PARTS",
    "SUCCESSORS",
    "TABLES",
    "Snapshot",
    "describe_files",
    "last_good",
    "newest_report",
    "resolve_as_of",
    "take_snapshot",
]
