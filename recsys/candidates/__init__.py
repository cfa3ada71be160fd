"""Candidate generators: one file each, one interface."""

from recsys.candidates.als import ALS
from recsys.candidates.base import Generator, Proposals, propose
from recsys.candidates.item_cf import ItemCF
from recsys.candidates.popularity import Popularity
from recsys.candidates.repurchase import Repurchase
from recsys.candidates.user_cf import UserCF
from recsys.errors import SettingsError

GENERATORS: dict[str, type[Generator]] = {cls.name: cls for cls in (Popularity, Repurchase, ItemCF, UserCF, ALS)}


def make_generator(name: str) -> Generator:
    """Return a new generator.

    Raises:
        SettingsError: if there is none of that name.
    """
    if name not in GENERATORS:
        raise SettingsError(f"There is no candidate generator {name!r}; there are: {', '.join(GENERATORS)}.")
    return GENERATORS[name]()


__all__ = ["GENERATORS", "Generator", "Proposals", "make_generator", "propose"]
