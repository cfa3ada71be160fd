"""Reciprocal rank fusion by hand."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.fusion import fuse


def write(path, rows):
    columns = list(zip(*rows, strict=True))
    names = ("user_idx", "item_idx", "score", "rank")
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
    return path


@pytest.fixture
def files(tmp_path):
    return {
        "a": write(tmp_path / "a.parquet", [(1, 10, 9.0, 1), (1, 11, 8.0, 2), (2, 10, 1.0, 1)]),
        "b": write(tmp_path / "b.parquet", [(1, 11, 0.5, 1), (1, 12, 0.4, 2)]),
    }


def fused(files, weights, keep=10, generators=("a", "b")):
    with duckdb.connect() as connection:
        fuse(connection, files, generators, weights, keep)
        return connection.execute(
            "select user_idx, item_idx, fused_score, fused_rank from candidates order by user_idx, fused_rank"
        ).fetchall()


def test_scores_by_hand(files) -> None:
    expected = [
        (1, 11, 1 / 62 + 1 / 61, 1),
        (1, 10, 1 / 61, 2),
        (1, 12, 1 / 62, 3),
        (2, 10, 1 / 61, 1),
    ]
    for found, wanted in zip(fused(files, {}), expected, strict=True):
        assert found == pytest.approx(wanted)


def test_weights_turn_the_order(files) -> None:
    assert [row[1] for row in fused(files, {"a": 3.0}) if row[0] == 1] == [11, 10, 12]
    assert [row[1] for row in fused(files, {"a": 0.0}) if row[0] == 1] == [11, 12, 10]


def test_equal_scores_go_to_the_lower_item_and_the_rest_is_cut(files) -> None:
    assert [row[1] for row in fused({"b": files["b"], "a": files["b"]}, {}, keep=1)] == [11]


def test_a_generator_without_proposals_leaves_empty_columns(files) -> None:
    with duckdb.connect() as connection:
        fuse(connection, {"a": files["a"]}, ("a", "b"), {}, 10)
        assert connection.execute("select count(b_rank), count(*) from candidates").fetchall() == [(0, 3)]
