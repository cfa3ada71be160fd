"""One typed ``Settings`` object, read from ``RECSYS_*`` variables and ``recsys.toml``.

A variable beats the file, the file beats the default. Nested settings join with two underscores:
``RECSYS_RANKER__TREES=300``. Entry points call :func:`load_settings` once and pass the object on.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from recsys.columns import PURCHASE
from recsys.errors import SettingsError
from recsys.redaction import is_secret_name, redact_text, secrets_in
from recsys.settings.candidates import CandidateSettings, Generator, Generators
from recsys.settings.contracts import ContractSettings
from recsys.settings.logging import LoggingSettings
from recsys.settings.monitoring import MonitoringSettings, RetrainingSettings
from recsys.settings.privacy import PrivacySettings
from recsys.settings.section import Name, Section
from recsys.settings.shaping import ShapingSettings
from recsys.settings.snapshot import SnapshotSettings

CONFIG = "RECSYS_CONFIG"
"""The variable that names the file of the settings, where it isn't ``recsys.toml`` in the working folder."""
UNBOUNDED = 1e300  # both engines know it, unlike infinity
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
    max_customers: int = Field(20_000, ge=10, description="customers sampled for the ranking set, a cut")
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


class GateSettings(Section):
    """When a trained model may go live without a person."""

    first_champion: Literal["auto", "ask"] = "auto"
    later_champions: Literal["auto", "ask"] = "ask"
    confidence: float = Field(0.95, gt=0.5, lt=1)
    bootstrap: int = Field(2000, ge=100)
    margin: float = Field(
        0.005, ge=0, description="NDCG that a ranker may possibly lie below what it must not be below"
    )
    min_gain: float = Field(0.002, ge=0, description="NDCG that a changed recipe must gain on the champion, on average")
    guarded_slices: tuple[str, ...] = Field(
        ("new customers", "tail products", "segment: "),
        description="groups that must not lose by a new model; the beginning of a slice's name is enough",
    )
    slice_margin: float = Field(
        0.01, ge=0, description="NDCG that a guarded slice may lose on average before an interval below zero counts"
    )
    max_guard_loss: float = Field(
        0.25, ge=0, le=1, description="share of the champion's coverage and variety that may be lost"
    )
    max_new_products: float = Field(7.0, ge=0, le=10, description="of the ten of a list, on average")
    max_slowdown: float = Field(2.0, gt=0, description="times the champion's time to score 1,000 customers")
    min_release_overlap: float = Field(
        0.35, ge=0, le=1, description="mean share of the ten that a release and its evaluation twin have in common"
    )
    max_score_distance: float = Field(
        0.25, ge=0, description="of the distributions of a release's scores and its twin's, in standard deviations"
    )


class ReviewSettings(Section):
    """How people decide about versions that wait."""

    deadline_hours: float = Field(
        72.0, gt=0, le=24 * 60, description="hours in which Airflow waits for an answer; then the version is rejected"
    )
    webhook_secret: SecretStr | None = Field(
        None, min_length=16, description="what MLflow signs its webhook with; without it none is taken"
    )
    mlflow_pages: str | None = Field(
        None,
        pattern=r"^https?://",
        description="where people open MLflow's pages, if that is not where its server is asked",
    )


class AirflowSettings(Section):
    """The shop's Airflow, as ``recsys doctor`` asks it; without it the one that ``recsys up`` runs is asked."""

    url: str | None = Field(None, pattern=r"^https?://", description="where its API server answers")
    user: str = Field("admin", description="who asks; reading pools, DAGs and import errors is enough")
    password: str | None = Field(None, repr=False)


class EvaluationSettings(Section):
    """How models are measured. The headline is NDCG@10."""

    ks: tuple[int, ...] = Field((5, 10, 20), description="list lengths at which metrics are shown; 10 among them")
    references: Generators = Field(
        (), description="generators that `recsys evaluate` and `recsys run` measure beside those of the recipe"
    )
    smallest_slice: int = Field(30, ge=2, description="customers below which a slice is too small to be judged")

    @field_validator("ks")
    @classmethod
    def _with_headline(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        if 10 not in ks or min(ks) < 1:
            raise ValueError("list lengths are 1 or more, and 10 must be among them: the gate judges NDCG@10")
        return tuple(sorted(set(ks)))


class PublicationSettings(Section):
    """The lists that readers see, and the audit they pass first."""

    items: int = Field(10, ge=1, le=100, description="items that readers see in a list")
    spare: int = Field(10, ge=0, le=100, description="rows more, so that a list stays full when rows are suppressed")
    min_item_purchases: int = Field(10, ge=0, description="purchases before an item is recommended")
    new_item_days: int = Field(
        0, ge=0, description="days in which a new item may be recommended without those purchases; 0: not at all"
    )
    min_coverage: float = Field(0.9, ge=0, le=1, description="share of eligible customers with a list, for the audit")
    keep: int = Field(3, ge=2, description="superseded publications kept for a rollback, a placement")


def _merged(default: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    merged = {**default, **given}
    for name, value in default.items():
        if isinstance(value, dict) and isinstance(given.get(name), dict):
            merged[name] = _merged(value, given[name])
    return merged


def _is_off(given: object) -> bool:
    """Tell whether a placement is taken out: ``discover = false``."""
    return given is False or str(given).lower() == "false"


def _default_placements() -> dict[str, PlacementSettings]:
    return {"for_you": PlacementSettings(repeats=True), "discover": PlacementSettings(repeats=False)}


class Settings(BaseSettings):
    """Everything a run can be told; see each field's description."""

    model_config = SettingsConfigDict(
        env_prefix="RECSYS_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        # A value that can't be used may be a password; what may be shown of it, load_settings shows.
        hide_input_in_errors=True,
    )

    home: Path = Field(Path(".recsys"), description="where everything of a run lives")
    warehouse_url: str | None = Field(
        None, repr=False, description="SQLAlchemy URL; a DuckDB file under home if absent"
    )
    statement_timeout_seconds: float = Field(
        3600.0, ge=0, description="after which a PostgreSQL server ends a statement of ours; 0: never"
    )
    namespace: Name = Field("recsys", description="prefix of the names of models, DAGs and pools")
    threads: int = Field(0, ge=0, description="threads a stage uses; 0: all cores of the machine")
    memory_limit_gb: float = Field(3.0, gt=0, description="what DuckDB may hold in memory, in GiB")
    seed: int = 20171205
    shards: int = Field(2, ge=1, le=256, description="user shards that are scored one by one, at least")
    shard_customers: int = Field(
        50_000, ge=1000, description="customers of a shard, about and at most: it bounds the memory of scoring"
    )
    tracking_uri: str | None = Field(None, repr=False, description="MLflow server; a SQLite file under home if absent")
    host: str = Field("127.0.0.1", description="address at which the local Airflow and MLflow listen")
    airflow_port: int = Field(8080, ge=1, le=65535)
    mlflow_port: int = Field(5000, ge=1, le=65535)
    max_future_hours: float = Field(
        24.0, ge=0, description="events later than the clock by more than this are quarantined"
    )
    max_user_events: int = Field(
        50_000,
        ge=100,
        description="events of one customer above which all of them are quarantined as a bot's",
    )
    rating_min: float | None = Field(None, description="ratings below it are quarantined; no bound if absent")
    rating_max: float | None = Field(None, description="ratings above it are quarantined; no bound if absent")
    contracts: ContractSettings = ContractSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
    candidates: CandidateSettings = CandidateSettings()
    ranker: RankerSettings = RankerSettings()
    placements: dict[Name, PlacementSettings] = Field(default_factory=_default_placements)
    gate: GateSettings = GateSettings()
    review: ReviewSettings = ReviewSettings()
    airflow: AirflowSettings = AirflowSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    publication: PublicationSettings = PublicationSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    retraining: RetrainingSettings = RetrainingSettings()
    logging: LoggingSettings = LoggingSettings()
    stage_python: Path | None = Field(
        None, description="the Python that Airflow's tasks run the stages with; Airflow's own if absent"
    )
    privacy: PrivacySettings = PrivacySettings()

    @field_validator("home", mode="before")
    @classmethod
    def _local(cls, home: object) -> object:
        if "://" in str(home):
            raise ValueError("must be a folder of this machine; object stores can't be used yet")
        return home

    @field_validator("placements", mode="before")
    @classmethod
    def _completed(cls, given: object) -> object:
        """Let what names one setting of a placement leave its others, and the other placements, as they are."""
        if not isinstance(given, dict) or not all(isinstance(one, dict) or _is_off(one) for one in given.values()):
            return given
        defaults = {name: one.model_dump(exclude_unset=True) for name, one in _default_placements().items()}
        completed = {name: _merged(defaults.get(name, {}), one) for name, one in given.items() if isinstance(one, dict)}
        return {name: one for name, one in (defaults | completed).items() if not _is_off(given.get(name))}

    @classmethod
    def settings_customise_sources(  # noqa: D102
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = Path(os.environ.get(CONFIG) or "recsys.toml")
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file))

    @property
    def resolved_home(self) -> Path:
        """``home`` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def database_url(self) -> str:
        """The warehouse's SQLAlchemy URL, the embedded DuckDB file if none is set."""
        return self.warehouse_url or f"duckdb:///{self.resolved_home / 'warehouse.duckdb'}"

    @property
    def rating_range(self) -> tuple[float, float]:
        """The lowest and the highest rating that can be true."""
        low = -UNBOUNDED if self.rating_min is None else self.rating_min
        return low, UNBOUNDED if self.rating_max is None else self.rating_max

    @property
    def mlflow_uri(self) -> str:
        """The MLflow tracking URI: the setting, else ``MLFLOW_TRACKING_URI``, else a SQLite file under home."""
        fallback = f"sqlite:///{self.resolved_home / 'mlflow' / 'mlflow.db'}"
        return self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or fallback

    @property
    def secrets(self) -> list[str]:
        """Return what must not be seen in any log: passwords in addresses, and the webhook's secret."""
        webhook = self.review.webhook_secret
        named = [] if webhook is None else [webhook.get_secret_value()]
        return [*secrets_in(self.database_url), *secrets_in(self.mlflow_uri), *named]

    @property
    def thread_count(self) -> int:
        """Threads a stage may use, at least one."""
        return self.threads or os.cpu_count() or 1

    def placement(self, name: str) -> PlacementSettings:
        """Return the settings of one placement.

        Raises:
            SettingsError: if no placement has that name.
        """
        if name not in self.placements:
            known = ", ".join(sorted(self.placements))
            raise SettingsError(f"There is no placement {name!r}; the settings have: {known}.")
        return self.placements[name]

    def ranker_of(self, placement: str) -> RankerSettings:
        """Return how a placement's ranker learns: the section ``ranker``, and what the placement has of its own."""
        return self.ranker.model_copy(update=self.placement(placement).ranker)

    def model_name(self, placement: str) -> str:
        """Return the registered model that ranks a placement."""
        return self.placement(placement).model or f"{self.namespace}_{placement}"


def load_settings(**overrides: object) -> Settings:
    """Read the settings of this process.

    Raises:
        SettingsError: naming each setting that can't be used, what it was and what is allowed.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))} = {_shown(e)}: {e['msg']}" for e in error.errors()]
        raise SettingsError(
            "Settings can't be used (RECSYS_* variables or recsys.toml):\n" + "\n".join(lines)
        ) from error


def _shown(fault: Mapping[str, Any]) -> str:
    """Return the value that can't be used, as far as it may be seen."""
    if any(is_secret_name(str(part)) for part in fault["loc"]):
        return "***"
    return redact_text(repr(fault.get("input")))
