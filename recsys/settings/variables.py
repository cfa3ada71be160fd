"""Tells which RECSYS_* variables are no settings: a slip of the pen would otherwise have no effect, silently."""

import difflib
from collections.abc import Collection, Iterable
from typing import Final

PREFIX: Final = "RECSYS_"
_OTHERS: Final = frozenset({"RECSYS_CONFIG", "RECSYS_UID", "RECSYS_TEST_POSTGRES", "RECSYS_SOAK_SEED"})
"""Variables that are not settings: the settings' file, docker-compose.yml's user, the tests' own."""
_FROM_FILE: Final = "_FROM_FILE"


def unknown_variables(names: Iterable[str], sections: Collection[str]) -> list[str]:
    """Return a sentence for each variable that has no effect, with the known name that is nearest.

    Args:
        names: of all variables of the environment.
        sections: the settings' first names, such as ``ranker``. What comes after two underscores is checked with them.
    """
    known = {f"{PREFIX}{name}".upper() for name in sections}
    told = []
    for name in sorted(names):
        first, _, rest = name.upper().removesuffix(_FROM_FILE).partition("__")
        if name.upper().startswith(PREFIX) and first not in known | _OTHERS:
            near = difflib.get_close_matches(first.removeprefix(PREFIX), [name.upper() for name in sections], n=1)
            guess = f" Did you mean {PREFIX}{'__'.join([near[0], *filter(None, [rest])])}?" if near else ""
            told.append(f"{name} is no setting and has no effect.{guess}")
    return told
