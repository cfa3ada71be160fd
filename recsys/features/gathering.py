"""Lays feature tables out in memory and gathers the ranker's rows from them: what ``assemble`` does, without a join.

Scoring asks for hundreds of candidates of every customer. A join carries each column of each candidate through each
of its steps; here a table is one matrix whose rows are looked up and copied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.assets import read_sql
from recsys.compute import fetch_columns
from recsys.features.assemble import CROSSED
from recsys.features.tables import TABLES, meanings_of
from recsys.fusion import Candidates

Rows = NDArray[np.intp]
BLOCK = 2048  # candidates whose features are laid side by side while they are near
_MARKET: Final = "user_market"
_GROUPS: Final = ("category_no", "family_no", "brand_no")
_OPERANDS: Final = frozenset(name for one in CROSSED.values() for name in (one.numerator, one.denominator))


@dataclass(frozen=True)
class _Table:
    """One feature table.

    Attributes:
        keys: (t,) ascending; of two columns as one number.
        place: (n,) the row of each number from 0 of a single key; empty where there are two.
        values: (t + 1, f) the features; the last row, of what isn't in the table, is not a number.
        operands: by name, (t + 1,) the features that crossed ones are made of, not rounded.
    """

    keys: NDArray[np.int64]
    place: Rows
    values: NDArray[np.float32]
    operands: dict[str, NDArray[np.float64]]

    @classmethod
    def of(cls, found: pa.Table, keys: NDArray[np.int64], names: Sequence[str], *, is_single: bool) -> "_Table":
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        place = _laid(keys, np.arange(len(keys)), len(keys)) if is_single else np.empty(0, np.intp)
        values = np.full((len(keys) + 1, len(names)), np.nan, np.float32)
        for position, name in enumerate(names):
            values[:-1, position] = found[name].to_numpy()[order]
        exact = {name: np.append(found[f"exact_{name}"].to_numpy()[order], np.nan) for name in _exact(names)}
        return cls(keys, place, values, exact)

    def find(self, asked: NDArray[np.int64]) -> Rows:
        """Return the rows of the asked keys, the last one where there is none."""
        if len(self.place):
            return _at(self.place, asked)
        if not len(asked) or not len(self.keys):
            return np.full(len(asked), len(self.keys), np.intp)
        low, high = np.searchsorted(self.keys, (asked.min(), asked.max() + 1))  # few customers' rows are a small part
        place = np.minimum(low + np.searchsorted(self.keys[low:high], asked), len(self.keys) - 1)
        return np.where(self.keys[place] == asked, place, len(self.keys))


class FeatureTables:
    """All feature tables of some customers."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read them.

        Args:
            connection: has ``item_groups`` and a view ``features_<table>`` for each feature table.
        """
        groups = fetch_columns(connection, f"select item_idx, {', '.join(_GROUPS)} from item_groups")
        self._groups = {name: _laid(groups[c.ITEM_IDX], groups[name]) for name in _GROUPS}
        found = fetch_columns(connection, f"select distinct {_MARKET} from features_market_item order by all")
        self._markets = {str(name): number for number, name in enumerate(found[_MARKET])}
        customers = connection.sql(f"select user_idx, {_MARKET} from features_user").to_arrow_table()
        self._market = _laid(customers[c.USER_IDX].to_numpy(), self._numbered(customers[_MARKET]))
        self._tables = {name: self._read(connection, name, keys) for name, keys in TABLES.items()}

    def _numbered(self, markets: pa.ChunkedArray) -> NDArray[np.int64]:
        """Return the markets' numbers, -1 for one in which no product is known."""
        coded = markets.combine_chunks().dictionary_encode("encode")
        numbers = np.array([self._markets.get(name, -1) for name in coded.dictionary.to_pylist()], np.int64)
        return np.asarray(numbers[coded.indices.to_numpy()])

    def _read(self, connection: duckdb.DuckDBPyConnection, name: str, keys: Sequence[str]) -> _Table:
        names = list(meanings_of(read_sql("features", f"{name}.sql")))
        rounded = [f"cast({one} as float) as {one}" for one in names]
        exact = [f"cast({one} as double) as exact_{one}" for one in _exact(names)]
        found = connection.sql(f"select {', '.join([*keys, *rounded, *exact])} from features_{name}").to_arrow_table()
        asked = {key: self._numbered(found[key]) if key == _MARKET else found[key].to_numpy() for key in keys}
        return _Table.of(found, _key(asked, keys), names, is_single=len(keys) == 1)

    def gather(self, found: Candidates) -> NDArray[np.float32]:
        """Return (r, f) the features of candidates, in the order of ``feature_names``; NaN where unknown."""
        asked: dict[str, NDArray[np.integer]] = {c.USER_IDX: found.user_idx, c.ITEM_IDX: found.item_idx}
        for name, numbers in self._groups.items():
            asked[name] = _at(numbers, found.item_idx)
        asked[_MARKET] = _at(self._market, found.user_idx)
        rows = {name: self._tables[name].find(_key(asked, keys)) for name, keys in TABLES.items()}
        rest = np.column_stack([self._crossed(rows), _of_generators(found)])
        widths = [table.values.shape[1] for table in self._tables.values()]
        result = np.empty((len(rest), sum(widths) + rest.shape[1]), np.float32)
        result[:, sum(widths) :] = rest
        for start in range(0, len(rest), BLOCK):
            block, end = result[start : start + BLOCK], 0
            for name, width in zip(rows, widths, strict=True):
                block[:, end : end + width] = self._tables[name].values.take(rows[name][start : start + BLOCK], axis=0)
                end += width
        return result

    def _crossed(self, rows: Mapping[str, Rows]) -> NDArray[np.float32]:
        """Return (r, x) the features of two columns."""
        operands = {
            operand: values.take(rows[name])
            for name, table in self._tables.items()
            for operand, values in table.operands.items()
        }
        found = []
        for one in CROSSED.values():
            above, below = operands[one.numerator], operands[one.denominator]
            found.append(np.divide(above, below, out=np.full(len(above), np.nan), where=below != 0))
        return np.column_stack(found).astype(np.float32)


def _laid(keys: NDArray[np.integer], values: NDArray[np.integer], other: int = -1) -> NDArray[np.int64]:
    """Return the values by key from 0; ``other`` where there is none, as of the last key."""
    result = np.full(int(keys.max(initial=-1)) + 2, other, np.int64)
    result[keys] = values
    return result


def _at(laid: NDArray[np.int64], keys: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return what :func:`_laid` laid for keys."""
    return np.asarray(laid[np.minimum(keys, len(laid) - 1)])


def _exact(names: Sequence[str]) -> list[str]:
    return [name for name in names if name in _OPERANDS]


def _key(values: Mapping[str, NDArray[np.integer]], keys: Sequence[str]) -> NDArray[np.int64]:
    """Return the keys, two of them as one number."""
    first, *second = (values[key].astype(np.int64) for key in keys)
    return (first << 32) + second[0] if second else first


def _of_generators(found: Candidates) -> NDArray[np.float32]:
    """Return (r, 2 g + 1) the generators' scores and ranks, and the fused rank."""
    result = np.empty((len(found.user_idx), 2 * found.ranks.shape[1] + 1), np.float32)
    result[:, 0:-1:2] = found.scores
    result[:, 1:-1:2] = np.where(found.ranks > 0, found.ranks, np.float32(np.nan))
    result[:, -1] = found.fused_rank
    return result
