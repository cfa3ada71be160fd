"""Shards: every bucket is in one of them, once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys import columns as c
from recsys.scoring import plan_shards, shard_count
from tests.support.warehouse import make_settings


@given(st.integers(1, 300))
def test_shards_cover_every_bucket_once(count: int) -> None:
    shards = plan_shards(count)
    assert len(shards) == count
    covered = [bucket for shard in shards for bucket in range(shard.bucket_from, shard.bucket_to)]
    assert covered == list(range(c.BUCKETS))


@given(st.integers(1, 300))
def test_shards_are_of_nearly_equal_width(count: int) -> None:
    widths = {shard.bucket_to - shard.bucket_from for shard in plan_shards(count)}
    assert max(widths) - min(widths) <= 1


@pytest.mark.parametrize("count", [4096, 5000])
def test_there_are_never_more_shards_than_buckets(count: int) -> None:
    assert [(one.bucket_from, one.bucket_to) for one in plan_shards(count)] == [(n, n + 1) for n in range(4096)]


@pytest.mark.parametrize(("customers", "expected"), [(0, 2), (2000, 2), (2001, 3), (1_000_000, 1000)])
def test_a_bigger_shop_gets_more_shards(tmp_path: Path, customers: int, expected: int) -> None:
    settings = make_settings(tmp_path, shards=2, shard_customers=1000)
    assert shard_count(settings, customers) == expected
