"""The report, its plots and the evidence, on figures that are known."""

import re
import struct
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from recsys.evaluation.evidence import evidence
from recsys.evaluation.gate import judge
from recsys.evaluation.plots import plot_bytes
from recsys.evaluation.report import render_report, write_report
from recsys.settings import GateSettings
from tests.support.evaluations import evaluation, placement, with_champion

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Collects what a test asks about a page, and that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        self.words = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += " "
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.labels += [value or "" for name, value in attrs if name == "aria-label"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def row(self, name: str) -> str:
        """The first table row whose first cell starts with a name, its cells joined."""
        return next(" | ".join(" ".join(cell.split()) for cell in row) for row in self.rows if row[0].startswith(name))


def product(title: str, *, is_bought: bool = False, other_rank: int | None = None) -> dict[str, Any]:
    return {"title": title, "is_bought": is_bought, "other_rank": other_rank}


def example(**changes: Any) -> dict[str, Any]:
    first = {"placement": "for_you", "user": "7", "segment": "families", "history": ["Milk"], "before": []}
    return {**first, "after": [product("Soup", is_bought=True)], **changes}


def rendered(figures: dict[str, Any], **options: Any) -> Page:
    verdicts = judge(figures, GateSettings(), has_champion=False)
    return Page(render_report(figures, verdicts=verdicts, **options))


@pytest.fixture(scope="module")
def page() -> Page:
    return rendered(evaluation())


def test_the_page_is_well_formed_and_needs_nothing_else(page: Page) -> None:
    assert page.open == []
    assert page.links
    assert all(re.fullmatch("#for_you|#discover", link) for link in page.links)
    html = render_report(evaluation())
    assert not re.search(r"https?:|url\(|@import|<script", html)


def test_the_page_says_what_was_measured_on_whom(page: Page) -> None:
    assert "known before 5 December 2017" in page.words
    assert "from then until 2 January 2018" in page.words
    assert "Measured on 1,960 customers" in page.words
    assert "New customers first bought in the 28 days before it" in page.words
    assert "2018-01-02-0123456789abcdef" in page.words


def test_first_comes_the_change_against_the_model_that_serves() -> None:
    page = rendered(evaluation(for_you=with_champion(placement(), score=0.43)))
    told = "The new model is worse than the model now live: NDCG@10 0.420 against 0.430."
    assert page.words.index(told) < page.words.index("Measured on")
    assert "Version 4 serves now. It is measured as it serves, with its own recipe." in page.words
    assert "\u22120.0100 NDCG@10, new minus old 95 % interval \u22120.0140 to \u22120.0060" in page.words
    assert "2.5 of 10 products of a list are new to it 12 of 100 customers keep the same ten" in page.words
    # The slices are held against it too: 0.6 times the scores.
    assert page.row("light customers").startswith("light customers | 490 | 0.252 | 0.258 |")


def test_a_champion_that_was_not_compared_is_said_with_the_reason() -> None:
    figures = {**placement(), "champion": {"version": "4", "is_compared": False, "why": "it has no twin"}}
    page = rendered(evaluation(for_you=figures))
    assert "Version 4 serves now and was not compared with: it has no twin." in page.words
    assert "The new model is better than the best single generator (Bought before)" in page.words


def test_without_a_champion_the_best_single_generator_is_the_measure(page: Page) -> None:
    assert "Nothing else serves here yet" in page.words
    assert "The new model is better than the best single generator (Bought before): NDCG@10 0.420 against 0.405." in (
        page.words
    )


def test_every_model_stands_with_its_role_and_interval(page: Page) -> None:
    # 0.42 - 0.405 with a half width of 0.004
    assert page.row("Bought before") == (
        "Bought beforebest single generator | 0.4050.401 to 0.409 |  | +0.0150 better+0.0110 to +0.0190"
    )
    # 0.42 - 0.155
    assert "+0.2650 better+0.2610 to +0.2690" in page.row("Best sellers")
    assert page.row("New model").startswith("New model | 0.4200.416 to 0.424 |")
    assert page.words.index("Single generators") > page.words.index("All models side by side")


def test_models_are_grouped_by_role() -> None:
    figures = placement()
    for name in ("logistic", "fused_rrf", "shaped"):
        figures["models"][name] = {"ndcg@10": 0.41}
        figures["roles"][name] = "anything"
    words = rendered(evaluation(for_you=figures)).words
    told = words[words.index("All models side by side") :]
    order = ["New model", "New model, shaped", "Baseline rankers", "Ways to fuse", "Single generators"]
    assert sorted(order, key=told.index) == order


def test_slices_are_a_forest_plot_with_sizes(page: Page) -> None:
    # 0.6 times 0.42 and 0.405, and an interval twice as wide.
    assert page.row("everybody").startswith("everybody | 1,960 | 0.420 | 0.405 |")
    assert page.row("light customers").endswith("+0.0090 better+0.0010 to +0.0170")
    assert "+0.0090 (+0.0010 to +0.0170)" in page.labels
    assert page.row("tail products").startswith("tail products | 245 | 0.168 | 0.162 |")


def test_a_slice_that_is_too_small_says_so(page: Page) -> None:
    assert page.row("new customers") == "new customers | 7 | \u2013 | \u2013 |  | too few customers to say"


def test_every_figure_is_there_and_what_has_no_interval_has_no_difference(page: Page) -> None:
    assert page.row("NDCG@10") == "NDCG@10 | 0.420 | 0.405 | +0.0150 (+0.0110 to +0.0190) | better"
    assert page.row("Coverage") == "Coverage | 0.210 | 0.203 | \u2013 | "


def test_what_is_neither_good_nor_bad_is_only_higher_or_lower() -> None:
    figures = placement()
    for name, own in figures["models"].items():
        own["novelty"] = 4.0 if name == "ranker" else 3.0
    changed = {"a": "ranker", "b": "repurchase", "metric": "novelty", "difference": 1.0, "low": 0.9, "high": 1.1}
    figures["comparisons"].append({**changed, "confidence": 0.95})
    assert rendered(evaluation(for_you=figures)).row("Novelty").endswith("+1.0000 (+0.9000 to +1.1000) | higher")


def test_rare_products_are_shown(page: Page) -> None:
    assert any(row[:3] == ["New model", "0.420", "0.378"] for row in page.rows)


def test_an_interval_that_holds_zero_is_no_clear_difference() -> None:
    page = rendered(evaluation(for_you=placement(ranker=0.406)))
    assert "+0.0010 no clear difference" in page.row("Bought before")
    assert "There is no clear difference between the new model and the best single generator" in page.words


def test_nobody_measured_is_said() -> None:
    figures = {**placement(), "customers": 0, "comparisons": [], "intervals": {}, "slices": {}}
    figures["models"] = {name: {"coverage": 0.1} for name in figures["models"]}
    page = rendered(evaluation(for_you=figures))
    assert "Nobody could be measured" in page.words
    assert "There is nothing to hold the new model against." in page.words


def test_one_customer_has_no_interval() -> None:
    figures = {**placement(), "customers": 1, "slices": {}}
    figures["comparisons"] = [{**one, "low": None, "high": None} for one in figures["comparisons"]]
    page = rendered(evaluation(for_you=figures))
    assert "There are too few customers to tell the new model from the best single generator" in page.words
    assert "no interval" in page.row("Best sellers")


def test_a_failed_gate_is_said_with_its_reason() -> None:
    page = rendered(evaluation(for_you=placement(ranker=0.3)))
    assert "Gate failed" in page.text
    assert "not below the best single generator (repurchase)" in page.text


def test_lists_before_and_after_say_what_moved_and_what_was_bought() -> None:
    before = [product("Soup", is_bought=True, other_rank=3), product("Tea"), product("Jam", other_rank=1)]
    after = [
        product("Jam", other_rank=3),
        product("Bread & <b>butter</b>", is_bought=True),
        product("Soup", other_rank=1),
    ]
    html = render_report(evaluation(), examples=[example(placement="discover", before=before, after=after)])
    assert html.index("Customer 7") > html.index('<section id="discover">')
    assert "Bread &amp; &lt;b&gt;butter&lt;/b&gt;" in html
    words = Page(html).words
    assert "(families) \u00b7 1 of ten bought before, 1 after" in words
    told = words[words.index("Sees today") : words.index("Had bought last")].strip()
    now, then = told.split(" Would see ")
    assert now == "Sees today Soup \u2713 bought Tea gone Jam"
    assert then == "Jam \u25b2 2 Bread & <b>butter</b> \u2713 bought new Soup \u25bc 2"


def test_a_first_model_has_no_list_before() -> None:
    words = Page(render_report(evaluation(), examples=[example()])).words
    assert "Sees today" not in words
    assert "1 of ten bought Would see Soup \u2713 bought Had bought last Milk" in words


def test_features_are_told_with_their_meaning() -> None:
    page = rendered(evaluation(), meanings={"popularity_28": "customers who bought it in 28 days"})
    # 120 of 1020.5
    assert "popularity_28 customers who bought it in 28 days 11.8 %" in page.words


def test_an_evaluation_with_the_least_it_may_hold_still_gives_a_page() -> None:
    least = {name: placement()[name] for name in ("customers", "models", "ranker", "best_single", "baselines")}
    page = Page(render_report(evaluation(for_you={**least, "comparisons": []})))
    assert page.row("Best sellers").startswith("Best sellersbaseline | 0.155 |")


def test_the_report_is_written_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    path = write_report(evaluation(), tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8") == render_report(evaluation())
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_plots_are_png_and_the_same_bytes_each_time() -> None:
    plots = plot_bytes(evaluation())
    kinds = ("models", "differences", "slices", "importance", "learning_curve")
    assert list(plots) == [f"{p}_{kind}" for p in ("for_you", "discover") for kind in kinds]
    again = plot_bytes(evaluation())
    for name, data in plots.items():
        assert data == again[name]
        assert data.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", data[16:24])
        assert width == 1152  # 7.2 inches at 160 dots
        assert height > 150


def test_plots_follow_the_figures() -> None:
    one, other = evaluation(for_you=placement(ranker=0.42)), evaluation(for_you=placement(ranker=0.43))
    first, second = plot_bytes(one), plot_bytes(other)
    assert {name for name in first if first[name] != second[name]} == set(first) - {"for_you_importance"}


def test_the_evidence_is_a_table_in_markdown_with_the_verdict_and_a_link() -> None:
    figures = evaluation()
    verdict = judge(figures, GateSettings(), has_champion=True)["for_you"]
    text = evidence(figures, "for_you", verdict=verdict, report_link="#/experiments/1/runs/2/artifacts/report.html")
    assert "Gate: **passed**" in text
    assert "[The whole report](#/experiments/1/runs/2/artifacts/report.html)" in text
    assert "| Bought before (best single generator) | 0.405 | 0.203 | +0.0150 (+0.0110 to +0.0190) | better |" in text
    assert "| light customers | 490 | 0.252 | 0.243 | +0.0090 (+0.0010 to +0.0170) |" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    assert text.index("**New model**") < text.index("Bought before") < text.index("Best sellers")


def test_the_evidence_names_the_champion_or_why_it_is_not_compared() -> None:
    text = evidence(evaluation(for_you=with_champion(placement(), score=0.41)), "for_you")
    assert "| Model now live (version 4) | 0.410 |" in text
    figures = {**placement(), "champion": {"version": "4", "is_compared": False, "why": "it has no twin"}}
    text = evidence(evaluation(for_you=figures), "for_you")
    assert "Not compared with version 4, which serves now: it has no twin." in text
