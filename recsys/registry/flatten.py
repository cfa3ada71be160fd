"""Settings and evaluations as MLflow wants them: flat names, small values, no secrets."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from recsys.artifacts import fingerprint
from recsys.evaluation.roles import HEADLINE, K
from recsys.redaction import redact
from recsys.settings import Settings

# They say where and how fast a run works, what is watched and which rows are let in, not how is learned from them: the
# same rows give the same model whatever they are.
OF_THE_MACHINE = frozenset(
    {
        "home",
        "artifacts",
        "warehouse_url",
        "tracking_uri",
        "threads",
        "memory_limit_gb",
        "scratch",
        "engine",
        "dask_scheduler",
        "shards",
        "host",
        "airflow",
        "shard_customers",
        "whole_every_days",
        "airflow_port",
        "mlflow_port",
        "review",
        "monitoring",
        "retraining",
        "logging",
        "stage_python",
        "privacy",
        "contracts",
        "statement_timeout_seconds",
    }
)
MAX_VALUE = 6000
_SHOWN = f"@{K}"


def recipe(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide what a training learns and publishes, as JSON-able values."""
    return {name: value for name, value in settings.model_dump(mode="json").items() if name not in OF_THE_MACHINE}


def recipe_hash(settings: Settings) -> str:
    """Return 16 hex digits that identify the recipe."""
    return fingerprint(recipe(settings))


def parameters(settings: Settings) -> dict[str, str]:
    """Return all settings with dotted names; URLs without user names, passwords and queries."""
    named = settings.model_dump(
        mode="json", exclude={"review": {"webhook_secret"}, "privacy": {"key"}, "airflow": True}
    )
    named["warehouse_url"] = settings.database_url
    named["tracking_uri"] = settings.mlflow_uri
    return {name: _printable(value) for name, value in _flat("", named)}


def metrics(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of an evaluation under names that MLflow allows.

    ``for_you.ranker.ndcg_10``, ``for_you.ranker_minus_popularity.ndcg_10`` with ``.low`` and
    ``.high``, ``for_you.slice.<slice>.<model>``, ``for_you.without_rule_of_ten.<model>``.
    Figures that are not finite are left out. So are other list lengths than ten, and differences of other figures
    than NDCG: hundreds of lines that hide the few which are looked at. The evaluation JSON has them.
    """
    found: dict[str, float] = {}
    for placement, figures in evaluation["placements"].items():
        found[f"{placement}.customers"] = float(figures.get("customers", 0))
        for name, value in _flat("", _of_placement(figures)):
            if isinstance(value, int | float) and math.isfinite(value):
                found[f"{placement}.{metric_name(name)}"] = float(value)
    return found


def learning_curves(evaluation: Mapping[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """Return the figure at each iteration, by metric name."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for placement, figures in evaluation["placements"].items():
        curve = figures.get("learning_curve") or {}
        steps = curve.get("iteration", [])
        for name, values in curve.items():
            if name != "iteration":
                curves[f"{placement}.learning_curve.{metric_name(name)}"] = list(zip(steps, values, strict=True))
    return curves


def metric_name(name: str) -> str:
    """Return a name with only the characters that MLflow allows in a metric's."""
    return "".join(c if (c.isascii() and c.isalnum()) or c in "_-./" else "_" for c in name)


def _of_placement(figures: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {
        model: {name: value for name, value in own.items() if "@" not in name or name.endswith(_SHOWN)}
        for model, own in figures["models"].items()
    }
    for comparison in figures.get("comparisons", []):
        if comparison["metric"] == HEADLINE:
            difference = f"{comparison['a']}_minus_{comparison['b']}.{comparison['metric']}"
            named[difference] = comparison["difference"]
            named[f"{difference}.low"], named[f"{difference}.high"] = comparison["low"], comparison["high"]
    named["slice"] = {
        name: {"customers": one["customers"], **one["models"]} for name, one in figures.get("slices", {}).items()
    }
    named["without_rule_of_ten"] = figures.get("without_rule_of_ten", {})
    return named


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _printable(value: Any) -> str:
    if isinstance(value, str) and "://" in value:
        return redact(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)[:MAX_VALUE]
