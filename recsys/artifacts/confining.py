"""Keeps stages to artifacts of their own home and store."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import unquote, urlparse

from recsys import erasures
from recsys.errors import SettingsError
from recsys.homes import Home
from recsys.settings import Settings

Given = ParamSpec("Given")
Result = TypeVar("Result")
_MADE_FROM_SHOP = ("snapshot", "features", "candidates", "ranking_set", "rankers", "evaluation")
_MADE_FOR_PUBLISHING = ("champions", "models", "state", "lists")
URIS = frozenset((*_MADE_FROM_SHOP, *_MADE_FOR_PUBLISHING))
"""Parameters of stages that hold URIs of artifacts."""


def within_home(
    stage: Callable[Concatenate[Settings, Given], Result],
) -> Callable[Concatenate[Settings, Given], Result]:
    """Let a stage refuse URIs that point outside of ``RECSYS_HOME``: they came through a run's parameters or XCom.

    Links and ``..`` are followed first. What is looked at are the parameters named in ``URIS``, and what is in them.
    With an object store they may point below its address instead.

    Raises:
        SettingsError: naming the parameter and the URI; the stage has not begun then.
    """

    @wraps(stage)
    def confined(settings: Settings, /, *args: Given.args, **given: Given.kwargs) -> Result:
        home = Home.of(settings)
        for name in given.keys() & URIS:
            for uri in _uris_in(given[name]):
                _require_below(home, name, uri)
        with erasures.reading(home):
            return stage(settings, *args, **given)

    return confined


def _uris_in(value: object) -> Iterator[str]:
    """Give the texts of a parameter that can be a path; names and versions have no slash."""
    if isinstance(value, str):
        if "/" in value or value in ("", ".", ".."):
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _uris_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _uris_in(one)


def _require_below(home: Home, name: str, uri: str) -> None:
    parsed = urlparse(uri)
    if home.store is not None and uri.startswith(f"{home.store.url}/"):
        path, is_ours = home.path / uri.removeprefix(f"{home.store.url}/"), True  # what is there has this place in home
    else:
        path = Path(unquote(parsed.path if parsed.scheme == "file" else uri))
        is_ours = parsed.scheme in ("file", "") and not parsed.netloc and path.is_absolute()
    if not is_ours or "\0" in str(path) or not path.resolve().is_relative_to(home.path):
        where = home.path if home.store is None else f"{home.path} or {home.store.url}"
        raise SettingsError(
            f"{name} is {uri[:200]!r}, which is no artifact below {where}: stages read what stages made there, and "
            "nothing else. Pass on what the stage before gave, or set RECSYS_HOME to where it was made."
        )
