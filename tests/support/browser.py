"""A real browser without a window, and what it finds wrong for people who can't see a page or use a mouse."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SERIOUS = ("serious", "critical")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the machine's Chromium; it ends with the block."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program is not None, "no chromium: .ci/system-packages.sh installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


def barriers(page: Page) -> list[str]:
    """Return what axe calls serious or critical on a page with all that can be unfolded unfolded.

    The page's own content policy forbids the check to look; its context needs ``bypass_csp=True``.
    """
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    return [
        f"{found['id']}: {node['html']} ({node['failureSummary']})"
        for found in Axe().run(page).response["violations"]
        if found["impact"] in SERIOUS
        for node in found["nodes"]
    ]
