"""A customer's bucket is the same in Python, DuckDB and PostgreSQL."""

import hashlib

import pyarrow as pa
import pytest

from recsys.buckets import bucket_of, bucket_sql
from recsys.warehouse import Warehouse


def test_it_is_the_first_twelve_bits_of_the_md5() -> None:
    # printf recsys:1 | md5sum begins with 810
    digest = hashlib.md5(b"recsys:1").digest()
    assert bucket_of("recsys", "1") == digest[0] * 16 + digest[1] // 16 == 0x810


def test_namespaces_differ() -> None:
    assert [bucket_of("a", str(n)) for n in range(20)] != [bucket_of("b", str(n)) for n in range(20)]


def test_sql_and_python_agree(warehouse: Warehouse) -> None:
    ids = [*map(str, range(500)), "ünï", "", "a b", "'; --", "x" * 300]
    with warehouse.transaction() as connection:
        warehouse.run(connection, "create schema play")
        warehouse.run(connection, "create table play.people (id text)")
        warehouse.append(connection, "play.people", pa.table({"id": ids}))
    rows = warehouse.query(f"select id, {bucket_sql('my_shop', 'id')} as bucket from play.people")
    assert len(rows) == len(ids)
    assert all(row["bucket"] == bucket_of("my_shop", row["id"]) for row in rows)


def test_buckets_are_even() -> None:
    counts = [0] * 16
    for n in range(16_000):
        counts[bucket_of("recsys", str(n)) // 256] += 1
    # 1,000 each; five standard deviations are 153
    assert all(abs(count - 1000) < 153 for count in counts), counts


def test_a_namespace_that_is_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match="namespace"):
        bucket_sql("x' || 'y", "user_id")
