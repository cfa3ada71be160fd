"""The review page in Airflow's UI, clicked through in a real Chromium, with runs that really do what was asked.

The tests build on each other, on one small made shop: version 1 serves, its newer lists are live, version 2 waits.
"""

from collections.abc import Iterator
from io import StringIO

import pytest
from playwright.sync_api import Browser, FrameLocator, Page
from rich.console import Console

from recsys import ledger, pipeline
from recsys.moments import clock
from recsys.publication import list_publications, live_publication
from recsys.settings import Settings, load_settings
from recsys.stack import Stack
from recsys.stack.keys import USER
from recsys.stack.up import make_ready
from recsys.warehouse import open_warehouse
from tests.support.browser import barriers, chromium
from tests.support.mlflow_server import free_port
from tests.support.mlflow_store import ready_store
from tests.support.warehouse import user_id, write_small_shop

PATIENCE = 150_000.0  # ms for a run to end
FOR_YOU = "recsys_for_you"
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
PAGES = (
    "",
    f"version?model={FOR_YOU}&version=2",
    "history",
    f"customer?user={user_id(0)}",
    "version?model=x&version=1",
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A shop on which version 1 is live by the policy, with lists of two days, and version 2 waits."""
    made = load_settings(
        home=tmp_path_factory.mktemp("review") / "home",
        airflow_port=free_port(),
        mlflow_port=free_port(),
        threads=1,
        shards=1,
        ranker={"trees": 20, "cuts": 2},
        # How good the model is, is measured elsewhere: here it is to pass.
        gate={"bootstrap": 100, "margin": 1.0, "guarded_slices": [], "max_slowdown": 100.0},
        candidates={"generators": ["popularity", "repurchase", "item_cf"], "per_generator": 40},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with open_warehouse(made, purpose="test") as warehouse:
            write_small_shop(warehouse)
        ready_store(made)
        for as_of in ("2024-12-01", "latest"):
            pipeline.run_chain(made, as_of=as_of, placements=["for_you"], now=clock(), progress=lambda *_: None)
        yield made


@pytest.fixture(scope="module")
def stack(settings: Settings) -> Iterator[Stack]:
    with Stack(settings, Console(file=StringIO(), width=200)) as started:
        make_ready(started)
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """The addresses that the browser has asked."""
    return []


@pytest.fixture(scope="module")
def ui(stack: Stack, browser: Browser, asked: list[str]) -> Page:
    """Airflow's UI, logged in by its form."""
    page = browser.new_page(viewport=WIDE, base_url=stack.layout.airflow_url)
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", stack.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/auth/login" not in url)
    return page


def recs(ui: Page) -> FrameLocator:
    """Open the page from the navigation."""
    ui.goto("/")
    ui.get_by_text("Recs", exact=True).first.click()
    frame = ui.frame_locator("iframe")
    frame.get_by_role("heading", name="What the shop shows").wait_for()
    return frame


def live(settings: Settings) -> str:
    with open_warehouse(settings, purpose="test") as warehouse:
        found = live_publication(warehouse, "for_you")
    assert found is not None
    return found.publication_id


def last(settings: Settings) -> ledger.Decision:
    with open_warehouse(settings, purpose="test") as warehouse:
        return ledger.list_decisions(warehouse, "for_you")[-1]


def test_the_overview_says_what_is_live_and_what_waits(ui: Page, settings: Settings) -> None:
    frame = recs(ui)
    card = frame.get_by_role("region", name="For you")
    assert "Version 1 is live since" in " ".join(card.inner_text().split())
    assert live(settings) in card.inner_text()
    card.get_by_role("heading", name="Version 2 waits for a decision").wait_for()


def test_a_rollback_by_keyboard_is_live_and_recorded(ui: Page, settings: Settings) -> None:
    before = live(settings)
    frame = recs(ui)
    frame.get_by_role("link", name="History").press("Enter")
    frame.get_by_role("heading", name="Publications and decisions").wait_for()
    frame.get_by_text("Roll back…").press("Enter")
    frame.get_by_label("Reason").fill("too many sweets")
    frame.get_by_label("Yes, return for_you").press("Space")
    frame.get_by_label("Reason").press("Enter")
    frame.get_by_role("heading", name="What is so now").wait_for(timeout=PATIENCE)
    after = live(settings)
    with open_warehouse(settings, purpose="test") as warehouse:
        states = {one.publication_id: one.status for one in list_publications(warehouse, "for_you")}
    assert after != before
    assert states == {before: "withdrawn", after: "live"}
    decided = last(settings)
    assert (decided.verdict, decided.decided_by, decided.channel) == ("rolled_back", USER, "airflow")
    assert decided.reason == "too many sweets"
    assert after in frame.get_by_role("region", name="What is so now").inner_text()


def test_an_approval_is_recorded_and_its_lists_go_live(ui: Page, settings: Settings) -> None:
    frame = recs(ui)
    frame.get_by_role("link", name="Review version 2").click()
    frame.get_by_role("heading", name="Rules of the gate").wait_for()
    assert frame.locator("svg.forest").count() >= 5
    assert frame.locator("details.customer").count() == 10
    frame.get_by_label("Reason").fill("the bakery looks right")
    frame.get_by_role("button", name="Approve").click()
    frame.get_by_role("heading", name="What is so now").wait_for(timeout=PATIENCE)
    decided = last(settings)
    assert (decided.model_version, decided.verdict, decided.decided_by) == ("2", "approved", USER)
    assert (decided.channel, decided.reason) == ("airflow", "the bakery looks right")
    # It goes on looking, by itself, until customers see what was decided.
    frame.get_by_text("Live on for_you: version 2").wait_for(timeout=PATIENCE)
    with open_warehouse(settings, purpose="test") as warehouse:
        found = live_publication(warehouse, "for_you")
    assert found is not None and found.model_version == "2"


def test_links_lead_out_of_the_frame(ui: Page, stack: Stack) -> None:
    frame = recs(ui)
    frame.get_by_role("link", name="Version 2").first.click()
    frame.get_by_role("heading", name="Version 2 of").wait_for()
    with ui.context.expect_page() as opened:
        frame.get_by_role("link", name="Version in MLflow").click()
    assert opened.value.url == f"{stack.layout.mlflow_url}/#/models/{FOR_YOU}/versions/2"
    with ui.context.expect_page() as opened:
        frame.get_by_role("link", name="Whole report").click()
    opened.value.get_by_role("heading", name="Is the new recommender better?").wait_for()


def test_no_page_asks_another_host(ui: Page, stack: Stack, asked: list[str]) -> None:
    assert asked
    assert {url for url in asked if not url.startswith((stack.layout.airflow_url, "data:", "blob:"))} == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_usable_without_eyes_or_mouse_and_fit_a_phone(
    ui: Page, stack: Stack, browser: Browser, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True, storage_state=ui.context.storage_state())
    page = context.new_page()
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)
        for path in PAGES:
            page.goto(f"{stack.layout.airflow_url}/recommendations/{path}")
            assert barriers(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], path
    context.close()
