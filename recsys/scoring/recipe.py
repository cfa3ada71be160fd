"""A recipe: the settings that a model version was trained with and is scored with for as long as it serves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.artifacts import fingerprint
from recsys.errors import RegistryError
from recsys.features import features_hash
from recsys.settings import CandidateSettings, PlacementSettings, Settings

RECIPE_FILE = "recipe.json"


@dataclass(frozen=True)
class Recipe:
    """How candidates are made, fused and limited for one placement."""

    placement: str
    candidates: CandidateSettings
    rules: PlacementSettings
    min_item_purchases: int
    new_item_days: int
    seed: int
    features: str

    @classmethod
    def of(cls, settings: Settings, placement: str, weights: Mapping[str, float] | None = None) -> "Recipe":
        """Take the recipe from the settings in force, with the fusion weights that a training learned, if it did."""
        return cls(
            placement=placement,
            candidates=settings.candidates,
            rules=settings.placement(placement).with_weights(weights),
            min_item_purchases=settings.publication.min_item_purchases,
            new_item_days=settings.publication.new_item_days,
            seed=settings.seed,
            features=features_hash(),
        )

    @property
    def state_key(self) -> str:
        """What a fitted state depends on, besides the snapshot."""
        return fingerprint(
            {name: value for name, value in self.as_json().items() if name not in ("placement", "rules")}
        )

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as JSON."""
        return {
            "placement": self.placement,
            "candidates": self.candidates.model_dump(mode="json"),
            "rules": self.rules.model_dump(mode="json"),
            "min_item_purchases": self.min_item_purchases,
            "new_item_days": self.new_item_days,
            "seed": self.seed,
            "features": self.features,
        }

    def as_text(self) -> str:
        """Return the text of ``recipe.json``."""
        return json.dumps(self.as_json(), indent=1, sort_keys=True)

    def save(self, folder: Path) -> None:
        """Write ``recipe.json``."""
        (folder / RECIPE_FILE).write_text(self.as_text(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Recipe":
        """Read ``recipe.json``."""
        return cls.of_json(json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8")))

    @classmethod
    def of_json(cls, raw: Mapping[str, Any]) -> "Recipe":
        """Return the recipe that ``as_json`` gave."""
        return cls(
            placement=raw["placement"],
            candidates=CandidateSettings.model_validate(raw["candidates"]),
            rules=PlacementSettings.model_validate({"first_trees": 0} | raw["rules"]),  # versions of before have none
            min_item_purchases=raw["min_item_purchases"],
            new_item_days=raw.get("new_item_days", 0),  # versions of before have none
            seed=raw["seed"],
            features=raw["features"],
        )

    def apply(self, settings: Settings) -> Settings:
        """Return the settings of this machine with the recipe in force.

        Raises:
            RegistryError: if the installed feature SQL is not what the model was trained with.
        """
        if self.features != features_hash():
            raise RegistryError(
                f"The model for {self.placement} was trained with other feature SQL ({self.features}) than is "
                f"installed ({features_hash()}): train and approve a new version, or install the release it was "
                "trained with."
            )
        publication = settings.publication.model_copy(
            update={"min_item_purchases": self.min_item_purchases, "new_item_days": self.new_item_days}
        )
        return settings.model_copy(
            update={
                "candidates": self.candidates,
                "placements": {**settings.placements, self.placement: self.rules},
                "publication": publication,
                "seed": self.seed,
            }
        )
