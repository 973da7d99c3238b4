"""The page in a real browser (Chromium): log in, look, sync now with live progress, preview; also without scripts."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

from functions import registry
from functions.bootstrap import bootstrap
from functions.outcome import Result
from functions.standing import End, Standing, fields_of
from tests.functions.web_house import TOKEN, Desk, desk
from tests.netbox_content import opened
from tests.netbox_fixtures import ServedNetBox
from tests.pubsub_fixtures import eventually

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.netbox,
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]

SCREENS = os.environ.get("FABRIC_SYNC_SCREENS", "")
"""Where to put pictures of the page, for the README; nowhere by default."""


@pytest.fixture(scope="module")
def served(netbox_server: ServedNetBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(netbox_server, tmp_path_factory.mktemp("page")) as made:
        yield made


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'browser'}",
        "--window-size=1100,930",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    driver.implicitly_wait(5)  # for what is looked for while one page follows another
    try:
        yield driver
    finally:
        driver.quit()


def one(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def heads(browser: Any, text: str) -> bool:
    """Whether the page's heading holds this text; no, while one page follows another."""
    try:
        return text in one(browser, "h1").text
    except (NoSuchElementException, StaleElementReferenceException):
        return False


def press(browser: Any, text: str) -> None:
    browser.find_element("xpath", f"//main//*[self::button or self::a][contains(normalize-space(.), '{text}')]").click()


def log_in(browser: Any, served: Desk, path: str = "/") -> None:
    browser.get(served.url + path)
    one(browser, "input[name=name]").send_keys("Ada")
    one(browser, "input[name=token]").send_keys(TOKEN)
    press(browser, "Log in")
    assert eventually(lambda: "Log in" not in browser.title, 20.0)


def picture(browser: Any, name: str) -> None:
    if SCREENS:
        browser.save_screenshot(str(Path(SCREENS) / name))


def complaints(browser: Any) -> list[str]:
    """What the browser's console says, but for the refusals that were asked for."""
    return [line["message"] for line in browser.get_log("browser") if "401" not in line["message"]]


def test_a_person_logs_in_syncs_now_and_sees_it_go_and_end(served: Desk, browser: Any) -> None:
    log_in(browser, served, "/fabrics/lab")
    assert "never synced" in one(browser, "h1").text
    press(browser, "Sync now")
    seen: set[str] = set()

    def followed() -> bool:
        if "?request=" in browser.current_url:
            return True
        seen.add(browser.execute_script("return document.getElementById('live-read-text')?.textContent || ''"))
        return False

    assert eventually(followed, 60.0)
    assert any(" of " in text for text in seen)
    assert eventually(lambda: heads(browser, "in sync"), 20.0)
    assert "succeeded" in one(browser, ".note.succeeded").text
    row = one(browser, "tr.marked").text
    assert "Ada" in row
    picture(browser, "page-fabric.png")
    assert complaints(browser) == []


def test_the_overview_says_every_status_in_words_and_is_read_in_the_dark_as_well(served: Desk, browser: Any) -> None:
    log_in(browser, served)
    text = one(browser, "main").text
    for words in ("never synced", "switched off", "not configured"):
        assert words in text
    light = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    picture(browser, "page-overview.png")
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != light
    picture(browser, "dark.png")
    assert complaints(browser) == []


def ran(served: Desk, fabric: str, *runs: tuple[Result, float]) -> None:
    """Let the cluster remember these runs, the newest first."""
    now = datetime.now(UTC)
    ends = tuple(
        End(f"{fabric}-{at}", result, now - timedelta(minutes=5 * at), duration_s=seconds)
        for at, (result, seconds) in enumerate(runs)
    )
    with opened(served.netbox) as netbox:
        row = registry.find(netbox, fabric)
        standing = Standing(ends=ends, result=runs[0][0], last_attempt=now, last_success=now)
        netbox.update(registry.PATH, [{"id": row["id"], "custom_fields": fields_of(standing)}])


def test_the_overview_shows_how_long_the_last_runs_took_and_says_so_in_words(served: Desk, browser: Any) -> None:
    good, bad = Result.SUCCEEDED, Result.TIMED_OUT
    ran(served, "held", (good, 0.4), (good, 6.2), (bad, 29.5), (good, 0.3), (good, 3.1))
    ran(served, "slow", (good, 0.7))
    log_in(browser, served)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.refresh()
    pictures = {one.accessible_name: one for one in browser.find_elements("css selector", "svg.spark")}
    held = pictures["last 5 recorded runs: 0.3 to 29.5 s, last 0.4 s, 1 failed"]
    assert held.aria_role in ("img", "image")
    bars = held.find_elements("css selector", "rect")
    assert len(bars) == 5
    assert bars[0].rect["x"] > bars[4].rect["x"]
    heights = [bar.rect["height"] for bar in bars]
    assert heights[2] == max(heights)
    assert min(heights) > 1
    assert [bar.get_attribute("class") for bar in bars] == [None, None, "bad", None, None]
    assert "the one recorded run: 0.7 s" in pictures
    picture(browser, "sparks.png")
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    picture(browser, "sparks-dark.png")
    assert complaints(browser) == []


def test_a_preview_is_shown_and_applied_without_any_script(served: Desk, browser: Any) -> None:
    log_in(browser, served, "/fabrics/other")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    press(browser, "Preview changes")
    assert "Would be created" in one(browser, "main").text
    picture(browser, "plan.png")
    press(browser, "Apply exactly this")
    assert eventually(lambda: "?request=" in browser.current_url, 60.0)
    assert "succeeded" in one(browser, ".note").text
    press(browser, "Test connection")
    assert eventually(lambda: heads(browser, "connected"), 20.0)
    picture(browser, "tested.png")


def test_a_link_from_netbox_finds_the_login_that_a_strict_cookie_was_kept_back_from(served: Desk, browser: Any) -> None:
    log_in(browser, served)
    # localhost is another site than 127.0.0.1: so a link on one leads to the other as from NetBox.
    browser.get(served.url.replace("127.0.0.1", "localhost") + "/login")
    browser.execute_script("location.href = arguments[0]", served.url + "/fabrics/held")
    assert eventually(lambda: "held" in browser.title, 20.0)


def test_a_person_comes_from_netbox_syncs_now_and_opens_what_was_made(served: Desk, browser: Any) -> None:
    with opened(served.netbox) as netbox:
        for _ in bootstrap(netbox, served.url):  # with links to the page
            pass
    browser.get(f"{served.netbox.url}/login/")
    one(browser, "input[name=username]").send_keys(served.netbox.running.username)
    one(browser, "input[name=password]").send_keys(served.netbox.running.password)
    one(browser, "form[action*=login] button[type=submit]").click()
    assert eventually(lambda: "/login" not in browser.current_url, 20.0)  # else its answer comes after the next page
    browser.get(f"{served.netbox.url}/virtualization/clusters/?q=journey")
    link(browser, "journey").click()
    began = time.monotonic()
    link(browser, "Sync now").click()
    assert eventually(lambda: "Log in" in browser.title, 20.0)
    one(browser, "input[name=name]").send_keys("Ada")
    one(browser, "input[name=token]").send_keys(TOKEN)
    press(browser, "Log in")
    assert eventually(lambda: "journey" in browser.title, 20.0)
    press(browser, "Sync now")
    assert eventually(lambda: heads(browser, "in sync"), 60.0)
    assert time.monotonic() - began < 60.0
    link(browser, "its devices").click()
    link(browser, "leaf-1").click()
    assert eventually(lambda: "leaf-1" in browser.title, 20.0)
    assert "/dcim/devices/" in browser.current_url
    assert "fabric-journey" in one(browser, "body").text


def link(browser: Any, text: str) -> Any:
    """The first link with this text that is shown; a menu in front of it is opened."""
    found = browser.find_elements("xpath", f"//a[normalize-space(.)='{text}']")
    assert found, f"no link {text!r} at {browser.current_url}: {one(browser, 'body').text[:2000]}"
    if not found[0].is_displayed():
        menu = "arguments[0].closest('.dropdown, .btn-group')?.querySelector('button')?.click()"
        browser.execute_script(menu, found[0])
    return found[0]
