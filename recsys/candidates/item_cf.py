"""Item-based collaborative filtering: products that the same customers buy."""

from scipy import sparse

from recsys.candidates.base import BECAUSE, tastes
from recsys.candidates.item_to_item import ItemToItem
from recsys.candidates.similarity import cosine_columns, neighbours
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
        chosen, threads = settings.candidates, settings.thread_count
        similarity = self._similarity or chosen.similarity
        if similarity == "cosine":
            self.weights = cosine_columns(tastes(history.interest), chosen.item_neighbours, threads)
        else:
            by_product = sparse.csr_array(history.interest.T)
            self.weights = neighbours(by_product, similarity, chosen.item_neighbours, chosen, threads)
