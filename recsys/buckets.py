"""Buckets: how work is cut by customer.

A customer's bucket is computed once, in staging, and stored. It is the same in Python, DuckDB and PostgreSQL:
the first 12 bits of the md5 of namespace and id, 0 to 4095. A shard is a range of buckets.
"""

import hashlib
import re

from recsys.columns import BUCKETS

GUEST_BUCKET = -1  # events of nobody in particular
_HEX_DIGITS = 3  # 12 bits


def bucket_of(namespace: str, user_id: str) -> int:
    """Return the bucket of a customer: 0 to 4095.

    Args:
        namespace: the platform's namespace (``Settings.namespace``).
        user_id: the customer's id as in the warehouse.
    """
    # md5 spreads ids evenly and is in both engines; nothing secret depends on it.
    digest = hashlib.md5(f"{namespace}:{user_id}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:_HEX_DIGITS], 16) % BUCKETS


def bucket_sql(namespace: str, column: str) -> str:
    """Return the SQL expression of :func:`bucket_of` for a text column, for DuckDB and PostgreSQL alike.

    Raises:
        ValueError: if ``namespace`` isn't made of lower-case letters, digits and underscores.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", namespace):
        raise ValueError(f"namespace {namespace!r} must be lower-case letters, digits and underscores")
    digest = f"md5('{namespace}:' || {column})"
    digits = "0123456789abcdef"
    values = [f"(strpos('{digits}', substr({digest}, {n}, 1)) - 1)" for n in range(1, _HEX_DIGITS + 1)]
    return f"cast({values[0]} * 256 + {values[1]} * 16 + {values[2]} as smallint)"
