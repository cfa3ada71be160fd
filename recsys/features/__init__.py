"""Features at cuts, as SQL over a snapshot: customer, product, and customer with product, category or brand.

Every file in ``sql/features/`` that computes features states its grain and one line of meaning for each
feature; this room runs them and joins them to candidates.
"""

from recsys.features.assemble import KEYS, assemble
from recsys.features.gathering import FeatureTables
from recsys.features.tables import TABLES, compute_tables, feature_meanings, features_hash

__all__ = ["KEYS", "TABLES", "FeatureTables", "assemble", "compute_tables", "feature_meanings", "features_hash"]
