"""How products are ranked, and the rule of each place in the shop."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from recsys.columns import PURCHASE
from recsys.settings.candidates import Generator, Generators
from recsys.settings.section import Name, Section
from recsys.settings.shaping import ShapingSettings

Fusion = Literal["rrf", "scores", "rules", "union"]
Objective = Literal["lambdarank", "rank_xendcg", "binary"]
WANTED = ("purchase", "cart", "rating", "review", "click", "view")  # events that may show what a customer wants


class LearnerSettings(Section):
    """How the ranker learns; a placement may have its own.

    The defaults were found on the demo shop, by what was bought from 2017-10-10 and from 2017-11-07. ``recsys tune``
    found others that were better for ``for_you`` in the months it chose by (.0016 of NDCG@10), but not in the month
    after (.0002), and worse for ``discover`` (.006): so these stayed.
    """

    negatives: int = Field(40, ge=1, description="candidates not bought that are kept of a customer and cut")
    objective: Objective = Field("lambdarank", description="LightGBM's; binary learns each row by itself")
    truncation: int = Field(20, ge=1, description="first places whose order LambdaRank cares about")
    trees: int = Field(200, ge=1)
    leaves: int = Field(15, ge=2)
    learning_rate: float = Field(0.07, gt=0, le=1)
    min_rows_in_leaf: int = Field(200, ge=1)
    l2: float = Field(10.0, ge=0)
    feature_fraction: float = Field(0.6, gt=0, le=1)
    bagging_fraction: float = Field(0.8, gt=0, le=1)


class RankerSettings(LearnerSettings):
    """The LightGBM ranker, and the ranking set that the rankers of all placements learn from."""

    cuts: int = Field(4, ge=1, le=24, description="training cuts, one horizon apart")
    horizon_days: int = Field(28, ge=1, description="days after a cut in which a purchase counts as relevant")
    max_customers: int = Field(10_000, ge=10, description="customers sampled for the ranking set, a cut")
    machines: int = Field(
        1,
        ge=1,
        le=256,
        description="workers that train a ranker together, each on its part of the rows; the model depends on how many",
    )
    event_weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=lambda: {PURCHASE: 1.0},
        description="what an event after the cut is worth to the ranker, by type; it is measured by purchases alone",
    )

    @field_validator("event_weights")
    @classmethod
    def _wanted(cls, weights: dict[str, float]) -> dict[str, float]:
        unwanted = sorted(set(weights) - set(WANTED))
        if unwanted or PURCHASE not in weights:
            raise ValueError(f"wants a weight of purchase, and of none but {', '.join(WANTED)}; not {unwanted}")
        return weights


class FusionRule(Section):
    """Whose turn it is in rule-based fusion, and how many products a turn gives."""

    order: Generators = Field(("repurchase",), description="whose turns come first; the others' follow")
    quotas: dict[Generator, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="products of a generator's turn; an equal share of `fused` if absent"
    )


class FusionSwitch(FusionRule):
    """The rule for some customers: those for whom every condition that is set holds."""

    segments: tuple[str, ...] = Field((), description="customers of these segments")
    max_purchases: int | None = Field(None, ge=0, description="customers with at most so many purchase lines before")

    @model_validator(mode="after")
    def _conditional(self) -> "FusionSwitch":
        if not self.segments and self.max_purchases is None:
            raise ValueError("a switch needs a condition: segments, max_purchases or both")
        return self


class FusionRules(FusionRule):
    """Rule-based fusion: one rule for everybody, and switches of which the first that fits replaces it."""

    switches: tuple[FusionSwitch, ...] = ()


class PlacementSettings(Section):
    """A place in the shop: what may be shown there, and the model that ranks it."""

    repeats: bool = Field(True, description="may show items the customer already had an event with")
    fused: int = Field(200, ge=10, le=2000, description="candidates left after fusion, for the ranker")
    fusion: Fusion = Field("rrf", description="reciprocal ranks, normalised scores, rules, or union by best rank")
    weights: dict[Generator, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict, description="fusion weight of a generator; 1 if absent"
    )
    learn_weights: bool = Field(
        False, description="learn the fusion weights on the training cuts, beginning with `weights`"
    )
    normalise: Literal["minmax", "z"] = Field("minmax", description="how fusion by scores makes them comparable")
    rules: FusionRules = FusionRules()
    ranker: dict[str, int | float | str] = Field(
        default_factory=dict, description="what this placement's ranker has other than the section ranker says"
    )
    first_trees: int = Field(
        30, ge=0, description="trees of the ranker that look at all candidates before all trees do at the best; 0: none"
    )
    survivors: int = Field(60, ge=20, description="candidates of a customer that are left for all trees then")
    model: Name | None = Field(None, description="registered model; <namespace>_<placement> if absent")
    shaping: ShapingSettings = ShapingSettings()

    def with_weights(self, weights: Mapping[str, float] | None) -> "PlacementSettings":
        """Return the settings with other fusion weights, the same if None."""
        return self if weights is None else self.model_copy(update={"weights": dict(weights)})

    @field_validator("ranker")
    @classmethod
    def _learnable(cls, given: dict[str, object]) -> dict[str, object]:
        return LearnerSettings.model_validate(given).model_dump(include=set(given))

    @model_validator(mode="after")
    def _has_weights(self) -> "PlacementSettings":
        if self.learn_weights and self.fusion == "rules":
            raise ValueError("fusion by rules has no weights to learn: set learn_weights to false")
        return self
