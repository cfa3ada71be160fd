"""The report, its plots and the evidence, on figures that are known."""

import base64
import re
import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest

from recsys.evaluation.gate import judge
from recsys.evaluation.plots import plot_bytes, write_plots
from recsys.evaluation.report import evidence, render_report, write_report
from recsys.settings import GateSettings
from tests.support.evaluations import evaluation, placement

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Collects what a test asks about a page, and that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def row(self, name: str) -> str:
        """The first table row whose first cell starts with a name, its cells joined."""
        return next(" | ".join(" ".join(cell.split()) for cell in row) for row in self.rows if row[0].startswith(name))


def product(title: str, *, is_bought: bool = False, other_rank: int | None = None) -> dict[str, object]:
    return {"title": title, "is_bought": is_bought, "other_rank": other_rank}


@pytest.fixture(scope="module")
def page() -> Page:
    figures = evaluation()
    return Page(render_report(figures, verdicts=judge(figures, GateSettings(), has_champion=False)))


def test_the_page_is_well_formed_and_needs_nothing_else(page: Page) -> None:
    assert page.open == []
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)


def test_the_page_says_what_was_measured_on_whom(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "known before 5 December 2017" in text
    assert "from then until 2 January 2018" in text
    assert "Measured on 1,960 customers" in text
    assert "2018-01-02-0123456789abcdef" in text


def test_every_model_stands_beside_the_new_one_with_its_interval(page: Page) -> None:
    # 0.42 - 0.405 with a half width of 0.004
    assert page.row("Bought before").startswith(
        "Bought beforebest single generator | 0.405 | +0.0150 better+0.0110 to +0.0190 |"
    )
    # 0.42 - 0.155
    assert "+0.2650 better+0.2610 to +0.2690" in page.row("Best sellers")
    assert page.row("New model").startswith("New model (ranker) | 0.420 |  |")


def test_groups_of_customers_and_rare_products_are_shown(page: Page) -> None:
    # 0.6 times 0.42 and 0.405
    assert page.row("light customers") == "light customers | 490 | 0.252 | 0.243 | +0.0090 (+0.0010 to +0.0170)"
    assert page.row("new customers") == "new customers | 7 | \u2013 | \u2013 | too few to say"
    assert any(row[:3] == ["New model (ranker)", "0.420", "0.378"] for row in page.rows)


def test_an_interval_that_holds_zero_is_no_clear_difference() -> None:
    figures = evaluation(for_you=placement(ranker=0.406))
    assert "+0.0010 no clear difference" in Page(render_report(figures)).row("Bought before")


def test_a_failed_gate_is_said_with_its_reason() -> None:
    figures = evaluation(for_you=placement(ranker=0.3))
    text = Page(render_report(figures, verdicts=judge(figures, GateSettings(), has_champion=False))).text
    assert "Gate failed" in text
    assert "not below the best single generator (repurchase)" in text


def test_examples_are_shown_at_their_placement_and_what_is_new_is_marked() -> None:
    example = {
        "user": "7",
        "history": ["Milk"],
        "before": [product("Soup", other_rank=1)],
        "after": [product("Soup", other_rank=1), product("Bread & <b>butter</b>")],
    }
    html = render_report(evaluation(), examples=[{**example, "placement": "discover"}])
    assert html.index("Customer 7 bought") > html.index('<section id="discover">')
    assert '<li class="new">Bread &amp; &lt;b&gt;butter&lt;/b&gt;</li>' in html
    assert "<li>Soup</li>" in html


def test_a_first_model_has_no_list_before() -> None:
    example = {"user": "7", "history": ["Milk"], "before": [], "after": [product("Soup")]}
    html = render_report(evaluation(), examples=[example])
    assert "Sees now" not in html
    assert "<li>Soup</li>" in html


def test_an_evaluation_with_the_least_it_may_hold_still_gives_a_page() -> None:
    least = {name: placement()[name] for name in ("customers", "models", "ranker", "best_single", "baselines")}
    page = Page(render_report(evaluation(for_you={**least, "comparisons": []})))
    assert page.row("Best sellers").startswith("Best sellersbaseline | 0.155 |")


def test_the_report_is_written_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    path = write_report(evaluation(), tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8") == render_report(evaluation())
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_plots_are_png_files_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    paths = write_plots(evaluation(), tmp_path)
    kinds = ("models", "differences", "slices", "importance", "learning_curve")
    assert [path.name for path in paths] == [f"{p}_{kind}.png" for p in ("for_you", "discover") for kind in kinds]
    again = plot_bytes(evaluation())
    for path in paths:
        data = path.read_bytes()
        assert data == again[path.stem]
        assert data.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", data[16:24])
        assert width == 1152  # 7.2 inches at 160 dots
        assert height > 150


def test_plots_follow_the_figures() -> None:
    one, other = evaluation(for_you=placement(ranker=0.42)), evaluation(for_you=placement(ranker=0.43))
    first, second = plot_bytes(one), plot_bytes(other)
    assert {name for name in first if first[name] != second[name]} == set(first) - {"for_you_importance"}


def test_the_plots_in_the_page_are_those_of_the_files() -> None:
    html = render_report(evaluation())
    embedded = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", html)]
    assert sorted(embedded) == sorted(plot_bytes(evaluation()).values())


def test_the_evidence_is_markdown_with_intervals_slices_and_the_link() -> None:
    figures = evaluation()
    verdict = judge(figures, GateSettings(), has_champion=False)["for_you"]
    text = evidence(figures, "for_you", verdict=verdict, report_link="#/experiments/1/runs/2/artifacts/report.html")
    assert "Gate: **passed**. All rules hold" in text
    assert "| Bought before (best single generator) | 0.405 | 0.203 | +0.0150 (+0.0110 to +0.0190) | better |" in text
    assert "| **New model (ranker)** | 0.420 | 0.210 |  |  |" in text
    assert "| light customers | 490 | 0.252 | 0.243 | +0.0090 (+0.0010 to +0.0170) |" in text
    assert text.endswith("[The whole report](#/experiments/1/runs/2/artifacts/report.html)")
    assert text.index("New model (ranker)") < text.index("Bought before") < text.index("Best sellers")
