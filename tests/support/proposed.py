"""Files of proposals and of what was bought, whose rows a test writes itself."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PROPOSALS = pa.schema(
    [("user_idx", pa.int32()), ("item_idx", pa.int32()), ("score", pa.float32()), ("rank", pa.int16())]
)
TRUTH = pa.schema(
    [("user_idx", pa.int32()), ("item_idx", pa.int32()), ("is_new", pa.bool_()), ("is_eligible", pa.bool_())]
)


def write_proposals(path: Path, rows: Iterable[tuple[int, int, float, int]]) -> Path:
    """Write (customer, product, score, rank) as a generator does."""
    return _write(path, rows, PROPOSALS)


def write_truth(path: Path, rows: Iterable[tuple[int, int, bool, bool]]) -> Path:
    """Write (customer, product, is_new, is_eligible) as the truth of a cut."""
    return _write(path, rows, TRUTH)


def _write(path: Path, rows: Iterable[tuple[float, ...]], schema: pa.Schema) -> Path:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    pq.write_table(pa.table([list(column) for column in columns], schema=schema), path)
    return path
