"""Artifacts that are made apart, each by a piece of work of its own, wherever the engine computes."""

from collections.abc import Mapping
from dataclasses import replace

from recsys.artifacts import Artifact, ArtifactStore
from recsys.engine import Piece, run_pieces
from recsys.errors import NotFoundError
from recsys.settings import Settings


def make_parts(settings: Settings, kind: str, pieces: Mapping[str, Piece]) -> list[Artifact]:
    """Return the artifacts that pieces make; what is there is not made again.

    Args:
        settings: say where they are made.
        kind: of the artifacts.
        pieces: by the name of the artifact that each makes.

    Raises:
        NotFoundError: if a piece ended without its artifact.
    """
    store = ArtifactStore(settings.resolved_home)
    found = {name: store.find(kind, name) for name in pieces}
    missing = [name for name, part in found.items() if part is None]
    run_pieces(settings, [pieces[name] for name in missing])
    for name in missing:
        part = store.find(kind, name)
        if part is None:
            place = store.root / kind / name
            raise NotFoundError(f"{pieces[name].name} ended, but {place} is not there: run the stage again.")
        found[name] = replace(part, reused=False)
    return [part for part in found.values() if part is not None]
