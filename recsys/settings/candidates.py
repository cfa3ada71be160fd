"""The settings of the candidate generators."""

from math import isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from recsys.columns import EVENT_TYPES
from recsys.settings.section import Section

GENERATORS = (  # all there are, in the order of their reports
    "popularity",
    "popularity_all",
    "popularity_trending",
    "popularity_segment",
    "popularity_market",
    "popularity_category",
    "repurchase",
    "due",
    "item_cf",
    "item_pearson",
    "item_tfidf",
    "item_bm25",
    "item_conditional",
    "user_cf",
    "user_pearson",
    "user_tfidf",
    "user_bm25",
    "user_conditional",
    "transitions",
    "co_purchase",
    "als",
    "bpr",
    "ease",
    "mf",
    "content",
    "newcomers",
    "knowledge",
)
DEFAULT_GENERATORS = ("popularity", "repurchase", "due", "item_cf", "user_cf", "als")
Similarity = Literal["cosine", "pearson", "tfidf", "bm25", "conditional"]


def _known_generator(name: str) -> str:
    if name not in GENERATORS:
        raise ValueError(f"unknown generator {name!r}; choose from {', '.join(GENERATORS)}")
    return name


Generator = Annotated[str, AfterValidator(_known_generator)]
Generators = tuple[Generator, ...]


class CandidateSettings(Section):
    """How candidates are generated, the same for every placement."""

    generators: tuple[str, ...] = DEFAULT_GENERATORS
    per_generator: int = Field(120, ge=10, le=2000, description="items a generator proposes to a customer")
    popularity_days: int = Field(28, ge=1, description="days before the cut that popularity counts")
    group_prior: float = Field(
        100.0, gt=0, description="customers like everyone that are added to a segment or market before it is believed"
    )
    newcomer_lines: int = Field(3, ge=0, description="purchase lines up to which a customer is a newcomer")
    newcomer_days: float = Field(28.0, ge=0, description="days since the first purchase in which any customer is one")
    event_weights: dict[str, float] = Field(
        default_factory=lambda: {
            "purchase": 1.0,
            "cart": 0.5,
            "rating": 0.5,
            "review": 0.25,
            "view": 0.1,
            "click": 0.1,
        },
        description="what an event of a type says about a taste, a purchase being 1; absent types say nothing",
    )
    half_life_days: float = Field(120.0, gt=0, description="purchases lose half their weight in so many days")
    due_days: float = Field(28.0, gt=0, description="days ahead within which a product may become due")
    due_prior: float = Field(0.3, ge=0, description="purchases that a product bought again and again is given ahead")
    due_patience: float = Field(5.0, gt=0, description="intervals after which a product is half given up")
    similarity: Similarity = Field("cosine", description="item-based and user-based collaborative filtering")
    item_neighbours: int = Field(200, ge=1, description="neighbours kept of an item")
    user_neighbours: int = Field(50, ge=1, description="neighbours kept of a customer")
    pearson_shrinkage: float = Field(20.0, ge=0, description="co-raters that halve a Pearson correlation")
    bm25_k1: float = Field(1.2, gt=0, description="BM25: how late repeated events stop to count")
    bm25_b: float = Field(0.75, ge=0, le=1, description="BM25: how much a row with many events is scaled down")
    conditional_damping: float = Field(0.5, ge=0, le=1, description="conditional probability: 1 ignores popularity")
    conditional_shrinkage: float = Field(10.0, ge=0, description="conditional probability: customers of doubt")
    content_embeddings: Literal["svd", "language"] = Field(
        "svd", description="products' vectors: TF-IDF of their texts, reduced, or a small language model (an extra)"
    )
    content_factors: int = Field(128, ge=1, description="length of the vectors that texts are reduced to")
    content_neighbours: int = Field(50, ge=1, description="products alike that are kept of a product")
    knowledge_items: int = Field(
        50, ge=1, description="products that one of the shop's rules proposes: those bought most of the rule's side"
    )
    max_item_customers: int = Field(
        5000, ge=1, description="customers of a product that user-based filtering compares: those it matters most to"
    )
    user_pool: int = Field(
        20_000, ge=100, description="customers, drawn, among whom user-based filtering looks for the nearest ones"
    )
    sequence_decay: float = Field(
        0.9, gt=0, le=1, description="what a moment further back counts for transitions and co-purchase"
    )
    transition_window: int = Field(5, ge=1, le=50, description="baskets after a product that still follow it")
    transition_half_life_days: float = Field(60.0, gt=0)
    transition_damping: float = Field(0.1, ge=0, le=1, description="1 ignores how popular what follows is")
    transition_shrinkage: float = Field(20.0, ge=0, description="times of doubt about what follows a product")
    co_purchase_half_life_days: float = Field(60.0, gt=0)
    co_purchase_damping: float = Field(0.25, ge=0, le=1, description="1 ignores how popular the other product is")
    co_purchase_shrinkage: float = Field(5.0, ge=0, description="baskets of doubt about what goes with a product")
    als_customers: int = Field(
        250_000, ge=100, description="customers, drawn, from whom the products' factors are learned"
    )
    als_factors: int = Field(64, ge=1)
    als_iterations: int = Field(12, ge=1)
    als_regularisation: float = Field(20.0, ge=0)
    als_alpha: float = Field(1.0, gt=0, description="confidence is 1 + alpha * weight")
    bpr_factors: int = Field(64, ge=1)
    bpr_iterations: int = Field(60, ge=1)
    bpr_learning_rate: float = Field(0.01, gt=0)
    bpr_regularisation: float = Field(0.01, ge=0)
    mf_factors: int = Field(100, ge=1, description="factors of a rating")
    mf_epochs: int = Field(16, ge=1, description="times that every rating is learned from")
    mf_batch: int = Field(2000, ge=1, description="ratings learned from at once")
    mf_learning_rate: float = Field(0.003, gt=0)
    mf_regularisation: float = Field(0.1, ge=0)
    ease_items: int = Field(8000, ge=1, le=8000, description="products with most events; the time grows with its cube")
    ease_l2: float = Field(200.0, gt=0)
    ease_weights: int = Field(500, ge=1, description="weights kept of a product, the farthest from zero")

    @field_validator("event_weights")
    @classmethod
    def _typed(cls, weights: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(weights) - set(EVENT_TYPES))
        if unknown or not all(weight >= 0 and isfinite(weight) for weight in weights.values()):
            raise ValueError(f"weights are numbers from 0, of {', '.join(EVENT_TYPES)}; unknown: {unknown}")
        return weights

    @field_validator("generators")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(names) - set(GENERATORS))
        if unknown or not names:
            raise ValueError(f"unknown generator {unknown}; choose from {', '.join(GENERATORS)}")
        return names
