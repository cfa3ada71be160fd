"""Distance-based fusion: the weighted sum of the generators' scores, made comparable within each customer.

``minmax`` maps a generator's scores for a customer to [0, 1]: (score - lowest) / (highest - lowest) (CombSUM
after Fox, Shaw 1994 and Lee 1997). ``z`` divides their distance to the lowest by their standard deviation; that
is the z-score moved so that the lowest is 0 (Montague, Aslam 2001), which a product that was not proposed gets
as well. Scores that are all equal say only that the products were proposed: each counts 1. A score that is not
finite counts nothing.
"""

from collections.abc import Sequence

from recsys.fusion.base import Method
from recsys.settings import PlacementSettings

# Means are those of decimals: a sum of floats would depend on the number of threads.
_SCALED = """
    with cleaned as (
        select *, case when isfinite(score) then cast(score as double) end as finite from proposed
    ),
    bounded as (
        select *, min(finite) over list as lowest, max(finite) over list as highest
        from cleaned
        window list as (partition by user_idx, generator)
    ),
    scaled as (
        select
            * exclude (finite, lowest, highest),
            case
                when finite is null then null
                when highest = lowest then 1
                else (finite - lowest) / (highest - lowest)
            end as scaled
        from bounded
    )
"""
_DEVIATIONS = """,
    deviations as (
        select
            *,
            avg(cast(scaled as decimal(18, 12))) over list as mean,
            avg(cast(scaled * scaled as decimal(18, 12))) over list as mean_square
        from scaled
        window list as (partition by user_idx, generator)
    )
    select
        * exclude (scaled, mean, mean_square),
        case
            when mean_square - mean * mean > 0 then scaled / sqrt(mean_square - mean * mean) else scaled
        end as vote
    from deviations
"""


def votes(generators: Sequence[str], rules: PlacementSettings) -> str:
    """Return the query of votes: the scores, normalised within each customer and generator."""
    if rules.normalise == "z":
        return _SCALED + _DEVIATIONS
    return _SCALED + "select * exclude (scaled), scaled as vote from scaled"


METHOD = Method(votes, combine="sum", is_weighted=True)
