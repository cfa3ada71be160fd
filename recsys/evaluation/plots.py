"""Plots of an evaluation as PNG whose bytes depend on the figures alone."""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, Final

from recsys.evaluation import words
from recsys.evaluation.roles import HEADLINE
from recsys.evaluation.rules import find_comparison

INK, MUTED, LINE = "#1f2937", "#6b7280", "#e5e7eb"
ACCENT, SECOND, REST = "#0f766e", "#64748b", "#cbd5e1"
OUTCOMES: Final = {words.BETTER: ACCENT, words.WORSE: "#b45309", words.EVEN: SECOND, words.FEW: SECOND}
WIDTH, DPI = 7.2, 160
MOST_FEATURES = 20


def plot_bytes(evaluation: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw every plot of every placement that has the figures for it.

    Returns:
        PNG by name: ``<placement>_<kind>``, with the kinds models, differences, slices, importance and
        learning_curve.
    """
    return {
        f"{placement}_{kind}": draw(figures)
        for placement, figures in evaluation["placements"].items()
        for kind, draw in _drawable(figures)
    }


def _drawable(figures: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Mapping[str, Any]], bytes]]]:
    yield "models", _models
    if any(one["metric"] == HEADLINE for one in figures.get("comparisons", [])):
        yield "differences", _differences
    if any(one["models"] for one in figures.get("slices", {}).values()):
        yield "slices", _slices
    if figures.get("importance"):
        yield "importance", _importance
    if (figures.get("learning_curve") or {}).get(HEADLINE):
        yield "learning_curve", _learning_curve


def _models(figures: Mapping[str, Any]) -> bytes:
    scores = sorted(((m.get(HEADLINE, 0.0), name) for name, m in figures["models"].items()), reverse=False)
    axes = _axes(len(scores), "NDCG@10 of each model")
    colours = [_colour(figures, name) for _, name in scores]
    values = [value for value, _ in scores]
    bars = axes.barh([words.model(name) for _, name in scores], values, color=colours, height=0.66)
    axes.bar_label(bars, labels=[words.score(value) for value in values], padding=4, color=INK, fontsize=9)
    axes.set_xlim(0, max([*values, 0.001]) * 1.14)
    _bare(axes)
    return _png(axes)


def _differences(figures: Mapping[str, Any]) -> bytes:
    ranker = figures["ranker"]
    compared = [(name, find_comparison(figures, ranker, name)) for name in figures["models"] if name != ranker]
    rows = sorted(((n, c) for n, c in compared if c and c["low"] is not None), key=lambda row: -row[1]["difference"])
    axes = _axes(len(rows), "New model minus each other, NDCG@10, with the interval of the same customers")
    axes.axvline(0, color=MUTED, linewidth=1)
    for place, (_, one) in enumerate(rows):
        colour = OUTCOMES[words.outcome(one)]
        axes.plot([one["low"], one["high"]], [place, place], color=colour, linewidth=3, solid_capstyle="round")
        axes.plot([one["difference"]], [place], "o", color=colour, markersize=7)
        axes.annotate(
            f"{words.signed(one['difference'])}, {words.outcome(one)}",
            (one["high"], place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    axes.set_yticks(range(len(rows)), [words.model(name) for name, _ in rows])
    axes.set_ylim(-0.6, max(len(rows) - 0.4, 0.6))
    low, high = min([0.0, *(one["low"] for _, one in rows)]), max([0.0, *(one["high"] for _, one in rows)])
    axes.set_xlim(low - 0.04 * (high - low), high + 0.42 * (high - low))
    _light(axes, "x")
    return _png(axes)


def _slices(figures: Mapping[str, Any]) -> bytes:
    ranker, best = figures["ranker"], figures["best_single"]
    rows = [(name, one) for name, one in reversed(figures["slices"].items()) if one["models"]]
    axes = _axes(len(rows), "NDCG@10 by group of customers", extra=0.35)
    for place, (_, one) in enumerate(rows):
        ends = [one["models"][name] for name in (best, ranker) if name in one["models"]]
        axes.plot(ends, [place] * len(ends), color=REST, linewidth=3, zorder=1)
    for name, colour in ((best, SECOND), (ranker, ACCENT)):
        points = [(one["models"][name], place) for place, (_, one) in enumerate(rows) if name in one["models"]]
        axes.scatter(
            [x for x, _ in points],
            [y for _, y in points],
            color=colour,
            s=52,
            zorder=2,
            label=words.model(name),
        )
    labels = [f"{name} ({words.count(one['customers'])})" for name, one in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.legend(loc="lower left", bbox_to_anchor=(0, -0.01), ncols=2, frameon=False, fontsize=9)
    axes.get_legend().set_bbox_to_anchor((0.0, 1.0))
    _light(axes, "x")
    return _png(axes)


def _importance(figures: Mapping[str, Any]) -> bytes:
    ranked = sorted(figures["importance"], key=lambda row: (-row["gain"], row["feature"]))
    total = sum(row["gain"] for row in ranked) or 1.0
    shown = list(reversed(ranked[:MOST_FEATURES]))
    axes = _axes(len(shown), "What the new model looks at: share of what each feature contributes (gain)")
    shares = [100 * row["gain"] / total for row in shown]
    bars = axes.barh([row["feature"] for row in shown], shares, color=ACCENT, height=0.66)
    axes.bar_label(bars, labels=[f"{share:.1f} %" for share in shares], padding=4, color=INK, fontsize=9)
    axes.set_xlim(0, max([*shares, 0.1]) * 1.16)
    _bare(axes)
    return _png(axes)


def _learning_curve(figures: Mapping[str, Any]) -> bytes:
    curve = figures["learning_curve"]
    axes = _axes(7, "NDCG@10 while the ranker learned (validation part of the ranking set)")
    axes.plot(curve["iteration"], curve[HEADLINE], color=ACCENT, linewidth=2)
    last = curve["iteration"][-1], curve[HEADLINE][-1]
    axes.annotate(words.score(last[1]), last, xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_xlabel("trees", color=MUTED, fontsize=9)
    axes.margins(x=0.08)
    _light(axes, "y")
    return _png(axes)


def _colour(figures: Mapping[str, Any], name: str) -> str:
    return {figures["ranker"]: ACCENT, figures["best_single"]: SECOND}.get(name, REST)


def _axes(rows: int, title: str, *, extra: float = 0.0) -> Any:
    # The object interface keeps no global state: plots may be drawn in any thread, without a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 0.8 + extra + 0.34 * max(rows, 1)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=10.5, fontweight="bold")
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.set_axisbelow(True)
    return axes


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.margins(y=0.03)


def _light(axes: Any, direction: str) -> None:
    axes.grid(axis=direction, color=LINE, linewidth=0.8)
    axes.tick_params(axis=direction, labelcolor=MUTED)


def _png(axes: Any) -> bytes:
    target = BytesIO()
    # Without the software's name and version, the same figures give the same bytes.
    axes.figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()
