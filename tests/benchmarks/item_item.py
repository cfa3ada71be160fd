"""Item-item collaborative filtering with time decay against a plain cosine of ``implicit``, on the same made matrix.

Each is fitted in a process of its own, so that its peak of memory is its own too; both begin with the matrix of
customers and products in memory, and end with the neighbours of every product.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic, process_time
from typing import Any, Final

import duckdb
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import sparse

from recsys.candidates.base import tastes
from recsys.candidates.similarity import cosine_columns
from recsys.settings import Settings, load_settings
from tests.benchmarks.made_shop import DAYS, START, MadeShop

K: Final = 100
OURS, THEIRS = "item_cf with time decay", "implicit's cosine"
_EVENTS: Final = """
    select
        cast(substr(user_id, 2) as integer) as user, cast(substr(item_id, 2) as integer) as item,
        cast(sum(weight * 0.5 ** (epoch($end::timestamp - occurred_at) / 86400 / $half_life)) as float) as interest
    from read_parquet($file) as events
    inner join (select unnest($types) as event_type, unnest($weights) as weight) as weights using (event_type)
    group by all
    order by user, item
"""


def compare(users: int, seed: int, console: Console) -> dict[str, Any]:
    """Measure both and print a table."""
    found: dict[str, Any] = {"users": users, "k": K}
    with tempfile.TemporaryDirectory() as name:
        matrix = Path(name) / "matrix.npz"
        found["pairs"] = make_matrix(MadeShop(users, seed), matrix, load_settings())
        for model in (THEIRS, OURS):
            command = [sys.executable, "-m", "tests.benchmarks.item_item", model, str(matrix)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[model] = json.loads(told.splitlines()[-1])
    table = Table(title=f"{users:,} customers, {found['pairs']:,} pairs (made), K {K}", title_justify="left")
    table.add_column("model")
    for heading in ("seconds", "CPU s", "MiB with the matrix", "peak MiB"):
        table.add_column(heading, justify="right")
    for model in (THEIRS, OURS):
        one = found[model]
        figures = (one["seconds"], one["cpu_seconds"], one["begins_mib"], one["peak_mib"])
        table.add_row(model, *(f"{figure:,.1f}" for figure in figures))
    ratios = [found[OURS][name] / found[THEIRS][name] for name in ("seconds", "cpu_seconds", "begins_mib", "peak_mib")]
    table.add_row("ratio", *(f"{ratio:.2f}" for ratio in ratios))
    console.print(table)
    return found


def make_matrix(shop: MadeShop, path: Path, settings: Settings) -> int:
    """Write what customers did with products, decayed by age, as a matrix; return its entries."""
    folder = path.parent / "made"
    folder.mkdir()
    shop.write(folder, settings)
    chosen = settings.candidates
    asked: dict[str, object] = {
        "end": START.replace(year=START.year + DAYS // 365),
        "half_life": chosen.half_life_days,
        "types": list(chosen.event_weights),
        "weights": list(chosen.event_weights.values()),
    }
    parts = []
    with duckdb.connect(config={"threads": settings.thread_count}) as connection:
        for file in sorted(folder.glob("events-*.parquet")):
            rows = connection.execute(_EVENTS, asked | {"file": str(file)}).fetchnumpy()
            parts.append([np.asarray(rows[name]) for name in ("interest", "user", "item")])
            file.unlink()
    interest, user, item = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    matrix = sparse.csr_array((interest, (user, item)), shape=(shop.users, shop.items))
    sparse.save_npz(path, matrix, compressed=False)
    return int(matrix.nnz)


def fit(model: str, path: Path) -> dict[str, float]:
    """Fit one model, and return what it took."""
    from implicit.nearest_neighbours import CosineRecommender

    settings = load_settings()
    matrix = sparse.csr_array(sparse.load_npz(path))

    def ours() -> sparse.csr_array:
        return cosine_columns(tastes(matrix), K, settings.thread_count)

    def theirs() -> sparse.csr_array:
        library = CosineRecommender(K=K, num_threads=settings.thread_count)
        library.fit(sparse.csr_matrix(matrix), show_progress=False)
        return sparse.csr_array(library.similarity)

    chosen: Callable[[], sparse.csr_array] = {OURS: ours, THEIRS: theirs}[model]
    before, began, cpu = _peak(), monotonic(), process_time()
    found = chosen()
    return {
        "seconds": monotonic() - began,
        "cpu_seconds": process_time() - cpu,
        "begins_mib": before,
        "peak_mib": _peak(),
        "entries": int(found.nnz),
    }


def _peak() -> float:
    """Return the highest resident memory of this process so far, in MiB; getrusage begins with the parent's."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print(json.dumps(fit(sys.argv[1], Path(sys.argv[2]))))
