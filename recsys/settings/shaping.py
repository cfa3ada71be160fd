"""How ranked lists are shaped before anybody sees them."""

from typing import Literal

from pydantic import Field, field_validator

from recsys.settings.section import Section

SENSITIVE_KINDS = ("alcohol", "tobacco", "health", "intimate")


class ShapingSettings(Section):
    """What is done to a ranked list before anybody sees it, in the order of the fields."""

    min_ratings: int = Field(
        0, ge=0, description="ratings below which a product is left out; only in shops with ratings"
    )
    ratings_to_judge: int = Field(5, ge=1, description="ratings from which on a product's mean rating counts")
    min_mean_rating: float = Field(
        0.25,
        ge=0,
        le=1,
        description="mean rating below which a product is left out, as a part of the shop's scale from its lowest "
        "rating (0) to its highest (1): 0.25 is 2 of 5 stars",
    )
    sensitive: Literal["show", "only_if_bought", "hide"] = Field(
        "only_if_bought",
        description="products of sensitive categories: for everyone, for customers who bought in that category, for "
        "nobody; no reason ever names one",
    )
    sensitive_kinds: tuple[str, ...] = Field(
        SENSITIVE_KINDS, description="kinds of sql/shaping/sensitive.csv whose category patterns are in force"
    )
    sensitive_categories: tuple[str, ...] = Field(
        (),
        description="more of them: category paths or patterns with * and ?, for example 'Home > Knives' or '*weapon*'",
    )
    near_duplicates: Literal["show", "once", "once_unless_bought"] = Field(
        "once_unless_bought",
        description="one product in several sizes: all, the best ranked, or all that the customer bought repeatedly",
    )
    pool: int = Field(50, ge=1, le=1000, description="best products left of which diversity and calibration choose")
    diversity: Literal["off", "mmr", "dpp"] = Field(
        "dpp", description="no, by maximal marginal relevance, or by a determinantal point process"
    )
    diversity_weight: float = Field(0.05, ge=0, le=10, description="of diversity; the relevance in a pool has weight 1")
    calibration_weight: float = Field(
        0.1, ge=0, le=10, description="of a list's likeness to the categories that the customer buys; 0: off"
    )
    exploration: float = Field(
        0.0, ge=0, le=1, description="share of customers whose last place shows a drawn product from deeper down"
    )
    item_cap: float = Field(1.0, gt=0, le=1, description="share of all customers' places that one product may take")
    brand_cap: float = Field(1.0, gt=0, le=1, description="share of all customers' places that one brand may take")

    @field_validator("sensitive_kinds")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(names) - set(SENSITIVE_KINDS))
        if unknown:
            raise ValueError(f"unknown kind {unknown}; choose from {', '.join(SENSITIVE_KINDS)}")
        return names
