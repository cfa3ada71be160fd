"""What is done to ranked lists before anybody sees them: one file a step, one function for all of them.

The order is that of :class:`recsys.settings.ShapingSettings`: low quality, sensitive categories, duplicates, diversity
and calibration, exploration; exposure caps follow once the lists of all customers are there. Between duplicates and
diversity stand the shop's own rules: what is replaced, and what never stands together.
"""

from recsys.shaping.exposure import cap_exposure, has_caps
from recsys.shaping.knowledge import Bans
from recsys.shaping.pairs import values_at
from recsys.shaping.products import PRODUCTS_FILE, read_products
from recsys.shaping.shaper import Shaped, Shaper, Taste

__all__ = [
    "PRODUCTS_FILE",
    "Bans",
    "Shaped",
    "Shaper",
    "Taste",
    "cap_exposure",
    "has_caps",
    "read_products",
    "values_at",
]
