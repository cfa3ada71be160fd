"""Products that are not good enough to be recommended."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recsys import columns as c
from recsys.settings import ShapingSettings
from recsys.shaping.products import MEAN_RATING, RATINGS


def good_enough(products: pa.Table, settings: ShapingSettings) -> NDArray[np.bool_]:
    """Return (m,) which products are in stock, rated often enough and not rated badly.

    In a shop without ratings nothing is judged by them; a product with too few ratings to judge is not left out by
    their mean.
    """
    available: NDArray[np.bool_] = products[c.AVAILABLE].to_numpy(zero_copy_only=False).astype(bool)
    ratings = products[RATINGS].to_numpy()
    if not ratings.any():
        return available
    mean = products[MEAN_RATING].to_numpy().astype(np.float64)
    is_bad = (ratings >= settings.ratings_to_judge) & (mean < settings.min_mean_rating)
    return np.asarray(available & (ratings >= settings.min_ratings) & ~is_bad)
