"""Shows the stages of the chain as they run: seconds, peak memory, and what each came to."""

import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"
_SHOWN_LENGTH: Final = 60


@dataclass(frozen=True)
class StageCost:
    """What one stage took: wall-clock seconds, and the process's peak of resident memory in MiB meanwhile."""

    stage: str
    seconds: float
    peak_mib: float
    result: str


@dataclass
class StageMeter:
    """Called by the chain with (stage, None) when a stage begins and (stage, result) when it ends.

    On Linux the peak is that of the stage alone; elsewhere that of the process so far.
    """

    console: "Console"
    costs: list[StageCost] = field(default_factory=list)
    _began: dict[str, float] = field(default_factory=dict)

    def __call__(self, stage: str, result: Mapping[str, Any] | None) -> None:
        """Take the time and memory of a stage, and print its line when it ends."""
        if result is None:
            reset_peak()
            self._began[stage] = monotonic()
            return
        cost = StageCost(stage, monotonic() - self._began.pop(stage), peak_mib(), describe(result))
        self.costs.append(cost)
        line = f"{cost.stage:<24} {cost.seconds:>8.1f} s {cost.peak_mib:>8,.0f} MiB   {cost.result}"
        self.console.print(line, markup=False, soft_wrap=True)

    def header(self) -> None:
        """Print what the columns are."""
        self.console.print(f"{'stage':<24} {'time':>10} {'peak memory':>12}   result", markup=False)

    def total(self) -> None:
        """Print the sum of the seconds and the highest peak."""
        seconds = sum(cost.seconds for cost in self.costs)
        peak = max((cost.peak_mib for cost in self.costs), default=0.0)
        self.console.print(f"{'in all':<24} {seconds:>8.1f} s {peak:>8,.0f} MiB", markup=False)


def describe(result: Mapping[str, Any]) -> str:
    """Return a stage's result in a few words: whether it was reused, and its small facts."""
    if result.get("reused") or result.get("skipped"):
        return "reused"
    facts = []
    for name, value in result.items():
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            facts.append(f"{name} {value:,}")
        elif isinstance(value, str) and not value.startswith("file:"):
            facts.append(f"{name} {value[:_SHOWN_LENGTH]}")
    return ", ".join(facts) or "done"


def peak_mib() -> float:
    """Return the peak of this process's resident memory since :func:`reset_peak`, in MiB."""
    lines = _STATUS.read_text(encoding="ascii").splitlines() if _STATUS.is_file() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    # Not Linux: the peak of the whole life of the process is all there is.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def reset_peak() -> None:
    """Begin to measure the peak anew, where the system can do that."""
    if os.access(_CLEAR, os.W_OK):
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
