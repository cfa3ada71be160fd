"""Item-based collaborative filtering: products that the same customers buy."""

from recsys.candidates.base import BECAUSE
from recsys.candidates.item_to_item import ItemToItem
from recsys.candidates.similarity import neighbours
from recsys.history import History
from recsys.settings import Settings, Similarity


class ItemCF(ItemToItem):
    """Scores a product by its similarity to what the customer bought: sum over j of taste(u, j) sim(j, i)."""

    sentence = f"Often bought by customers who, like you, bought {BECAUSE}."

    def __init__(self, similarity: Similarity | None = None) -> None:
        """Give it a similarity, that of the settings if None."""
        self.name = f"item_{similarity or 'cf'}"
        self._similarity = similarity

    def fit(self, history: History, settings: Settings) -> None:
        """Find each product's neighbours over customers."""
        chosen = settings.candidates
        self.weights = neighbours(
            history.interest.T.tocsr(),
            self._similarity or chosen.similarity,
            chosen.item_neighbours,
            chosen,
            settings.thread_count,
        )
