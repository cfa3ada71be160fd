"""The one interface of engines, and the one that needs nothing: pieces one after the other in this process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from recsys.settings import Settings

Result = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """A part of a stage's work that can be done anywhere, and done again.

    Attributes:
        name: in logs and on the scheduler's page.
        function: of a module, called with settings and the arguments; returns what JSON knows.
        arguments: URIs, paths below home and other small values.
    """

    name: str
    function: Callable[..., Result]
    arguments: Mapping[str, Any]

    def __call__(self, settings: Settings) -> Result:
        """Do the work here."""
        return self.function(settings, **self.arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """Name the function where the piece is sent: who only hands it on need not import what computes."""
        return Posted, (self.name, self.function.__module__, self.function.__qualname__, dict(self.arguments))


@dataclass(frozen=True)
class Posted:
    """A piece that was sent: with the name of its function."""

    name: str
    module: str
    function: str
    arguments: Mapping[str, Any]

    def __call__(self, settings: Settings) -> Result:
        """Do the work here."""
        found: Callable[..., Result] = getattr(import_module(self.module), self.function)
        return found(settings, **self.arguments)


def run_ahead(settings: Settings, pieces: Sequence[Piece]) -> None:
    """Let a cluster make what is asked for next; without one it is made where it is asked for.

    Raises:
        EngineError: as :func:`run_pieces`.
        RecsysError: what a piece raised.
    """
    if settings.engine != "local":
        run_pieces(settings, pieces)


def run_pieces(settings: Settings, pieces: Sequence[Piece]) -> list[Result]:
    """Do pieces of work, and return what each answered, in their order.

    Raises:
        EngineError: if the cluster can't be used, or a piece was lost with its worker again and again.
        RecsysError: what a piece raised; the others are given up then.
    """
    if settings.engine == "local":
        return [piece(settings) for piece in pieces]
    from recsys.engine.cluster import run_on_cluster

    return run_on_cluster(settings, pieces)
