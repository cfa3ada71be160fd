"""When a version may go live, and how people decide."""

from typing import Literal

from pydantic import Field, SecretStr

from recsys.settings.section import Section


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
