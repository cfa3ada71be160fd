"""One typed ``Settings`` object, read from ``RECSYS_*`` variables and ``recsys.toml``.

A variable beats the file, the file beats the default. Nested settings join with two underscores:
``RECSYS_RANKER__TREES=300``. Entry points call :func:`load_settings` once and pass the object on.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from recsys.errors import SettingsError
from recsys.redaction import is_secret_name, redact_text, secrets_in
from recsys.settings.candidates import CandidateSettings, Generators
from recsys.settings.contracts import ContractSettings
from recsys.settings.gate import GateSettings, ReviewSettings
from recsys.settings.logging import LoggingSettings
from recsys.settings.monitoring import MonitoringSettings, RetrainingSettings
from recsys.settings.placements import PlacementSettings, RankerSettings
from recsys.settings.privacy import PrivacySettings
from recsys.settings.section import Name, Section
from recsys.settings.snapshot import SnapshotSettings
from recsys.settings.variables import unknown_variables

LOG = logging.getLogger(__name__)
CONFIG = "RECSYS_CONFIG"
"""The variable that names the file of the settings, where it isn't ``recsys.toml`` in the working folder."""
UNBOUNDED = 1e300  # both engines know it, unlike infinity


class AirflowSettings(Section):
    """The shop's Airflow: how much of it runs at a time, and how ``recsys doctor`` asks it.

    Without a URL the one that ``recsys up`` runs is asked.
    """

    slots: int = Field(
        2, ge=1, le=64, description="tasks that compute at a time; each takes its part of the threads and the memory"
    )

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
    keep: int = Field(3, ge=2, description="superseded publications kept for a rollback, a placement, however old")
    keep_days: int = Field(0, ge=0, le=3650, description="days for which superseded ones are kept, however many")


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
    artifacts: str | None = Field(
        None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[\w=+-][\w.=+-]*)*$",
        description="object store of artifacts, for machines with homes of their own: s3://bucket/prefix",
    )
    warehouse_url: str | None = Field(
        None, repr=False, description="SQLAlchemy URL; a DuckDB file under home if absent"
    )
    statement_timeout_seconds: float = Field(
        3600.0, ge=0, description="after which a PostgreSQL server ends a statement of ours; 0: never"
    )
    namespace: Name = Field("recsys", description="prefix of the names of models, DAGs and pools")
    threads: int = Field(0, ge=0, description="threads a stage uses; 0: all cores of the machine")
    memory_limit_gb: float = Field(
        3.0, gt=0, description="what DuckDB may hold in memory for a stage, in GiB; tasks that divide it share this"
    )
    seed: int = 20171205
    shards: int = Field(1, ge=1, le=256, description="user shards that are scored one by one, at least")
    shard_customers: int = Field(
        50_000,
        ge=100,
        description="customers of a shard, about, at most: with more there are more shards, and tasks of a training",
    )
    whole_every_days: int = Field(
        1,
        ge=1,
        le=365,
        description="days after which a publication makes the lists of all customers anew; between, only of those of "
        "whom something is new. 1: each publication makes all",
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
    scratch: Path | None = Field(None, description="where DuckDB spills what memory can't hold; home/tmp if absent")
    engine: Literal["local", "dask"] = Field("local", description="where stages compute: this machine, or a cluster")
    dask_scheduler: str | None = Field(
        None, pattern=r"^(tcp|tls)://\S+$", description="address of the cluster's scheduler, for the engine dask"
    )
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
            raise ValueError("must be a folder of this machine; RECSYS_ARTIFACTS names an object store")
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

    def for_one_of(self, tasks: int) -> "Settings":
        """Return the settings of one of the tasks that divide a stage: as many run at a time as there are slots.

        ``threads`` is what each may use if it is set; else they share the cores.
        """
        at_once = min(tasks, self.airflow.slots)
        if at_once <= 1:
            return self
        threads = self.threads or max(1, self.thread_count // at_once)
        return self.model_copy(update={"threads": threads, "memory_limit_gb": self.memory_limit_gb / at_once})

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
    """Read the settings of this process; RECSYS_* variables that are none are told in the log.

    Raises:
        SettingsError: naming each setting that can't be used, what it was and what is allowed.
    """
    for sentence in unknown_variables(os.environ, Settings.model_fields):
        LOG.warning("%s", sentence)
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
