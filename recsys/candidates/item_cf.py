"""Item-based collaborative filtering: products that the same customers buy."""

from scipy import sparse

from recsys.candidates.base import BECAUSE, tastes
from recsys.candidates.item_to_item import ItemToItem
from recsys.candidates.similarity import cosine_neighbours, pearson_neighbours
from recsys.history import History
from recsys.settings import Settings


class ItemCF(ItemToItem):
    """Scores a product by its similarity to what the customer bought: sum over j of taste(u, j) sim(j, i)."""

    name = "item_cf"
    sentence = f"Often bought by customers who, like you, bought {BECAUSE}."

    def fit(self, history: History, settings: Settings) -> None:
        """Find each product's neighbours, by cosine or Pearson over customers."""
        chosen = settings.candidates
        columns = sparse.csr_array(tastes(history.interest).T)
        if chosen.similarity == "pearson":
            self.weights = pearson_neighbours(columns, chosen.item_neighbours, chosen.pearson_shrinkage)
        else:
            self.weights = cosine_neighbours(columns, chosen.item_neighbours, settings.thread_count)
