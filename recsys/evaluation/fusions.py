"""Every way to fuse the generators' proposals, as models to compare."""

from collections.abc import Mapping
from datetime import datetime

from recsys.compute import fetch_columns
from recsys.evaluation.roles import FUSED
from recsys.fusion import METHODS, fuse
from recsys.lists import Lists
from recsys.ranking.ingredients import Ingredients
from recsys.settings import PlacementSettings, Settings


def fused_lists(
    settings: Settings,
    made_of: Ingredients,
    cut: datetime,
    rules: PlacementSettings,
    learned: Mapping[str, float] | None,
    k: int,
) -> dict[str, Lists]:
    """Return the first k of every fusion method's lists at a cut, as ``fused_<method>``.

    Args:
        settings: in force.
        made_of: the training's proposals.
        cut: where.
        rules: the placement's.
        learned: weights that were learned for the placement's own method; its weights in the settings if None.
        k: products a customer.
    """
    lists = {}
    with made_of.laid(settings, cut) as connection:
        for method in METHODS:
            tried = rules.with_weights(learned) if method == rules.fusion else rules
            fuse(
                connection,
                made_of.files(cut, rules),
                made_of.generators,
                tried.model_copy(update={"fusion": method}),
            )
            found = fetch_columns(
                connection,
                "select user_idx, item_idx, fused_rank from candidates where fused_rank <= $k "
                "order by user_idx, fused_rank",
                {"k": k},
            )
            lists[f"{FUSED}_{method}"] = Lists(*(values.astype("int32") for values in found.values()))
    return lists
