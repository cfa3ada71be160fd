"""Shows how far a load is: bars with an estimate in a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

Advance = Callable[[int], None]


class Progress:
    """Takes the time of each step and says nothing; the base of what shows it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Run one step; the block calls what it gets with the rows that are done.

        Args:
            name: what is done, for a person.
            total: rows that are expected, if that is known.
        """
        done = 0

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            self._moved(name, rows)

        began = monotonic()
        self._began(name, total)
        yield advance
        self.seconds[name] = monotonic() - began
        self._ended(name, done)

    def _began(self, name: str, total: int | None) -> None:
        """A step began."""

    def _moved(self, name: str, rows: int) -> None:
        """Rows were done."""

    def _ended(self, name: str, rows: int) -> None:
        """A step ended well."""


class TerminalProgress(Progress):
    """Writes to a console; use it as a context manager, so that the bars are taken down again."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._console = console or Console(stderr=True)
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bars.add_task("", visible=False)

    def __enter__(self) -> "TerminalProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _began(self, name: str, total: int | None) -> None:
        self._bars.reset(self._task, description=name, total=total, visible=True)

    def _moved(self, name: str, rows: int) -> None:
        self._bars.advance(self._task, rows)

    def _ended(self, name: str, rows: int) -> None:
        self._bars.update(self._task, visible=False)
        counted = f"{rows:>13,} rows" if rows else " " * 18
        self._console.print(f"  {name:<34}{counted}{self.seconds[name]:>8.1f} s", highlight=False)
