"""All pages in a real browser: reached by their links, at both widths, checked by axe; and the server as a process.

With ``DATAENGINE_TEST_SCREENSHOTS=docs/pages`` in the environment it writes the pictures of the documentation.
"""

from __future__ import annotations

import io
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from browser import NARROW, PASSWORD, WIDE
from PIL import Image

from data_engine.web.navigation import ENTRIES
from data_engine.web.server import MODULES

pytest_plugins = ["browser"]
pytestmark = pytest.mark.required

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PICTURES = os.environ.get("DATAENGINE_TEST_SCREENSHOTS")
LINKS = "links => links.map(link => link.href.baseVal ?? link.href).map(to => new URL(to, location.href).href)"
"""Addresses of links, those of drawings too."""
ALSO_NARROW = {"wheel", "jobs", "jobs-job-annotate", "review", "review-job", "frames"}
NO_PAGES = ("/pictures/{frame_id}", "/thumbs/{frame_id}")
"""Reached by links, but no pages."""


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("axe is not there: it is fetched by `pip install --editable .`")
    return AXE.read_text("utf-8")


def pattern_of(path: str) -> str | None:
    """The route that answers a path."""
    for route in (route for module in MODULES for route in module.router.routes):
        if "GET" in (route.methods or ()) and route.path_regex.match(path):
            return str(route.path)
    return None


def walk(page: Any, look: Callable[[Any, str], None]) -> set[str]:
    """Follow links until each route that any leads to was looked at once; those routes."""
    waiting, seen = [urljoin(page.url, entry.address) for entry in ENTRIES], set()
    while waiting:
        address = waiting.pop(0)
        parts = urlsplit(address)
        pattern = pattern_of(parts.path)
        if parts.netloc != urlsplit(page.url).netloc or pattern is None or pattern in {*seen, *NO_PAGES}:
            continue
        seen.add(pattern)
        answer = page.goto(address)
        assert answer.status == 200, address
        page.wait_for_load_state("networkidle")
        look(page, pattern)
        waiting += page.eval_on_selector_all("a[href]", LINKS)
    return seen


def faults(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
    return [
        f"{fault['id']} ({fault['impact']}): {node['html'][:160]} {node['failureSummary']!r}"
        for fault in found["violations"]
        for node in fault["nodes"][:3]
    ]


def looked_at(page: Any, pattern: str, axe: str) -> list[str]:
    """What is wrong with a page, at both widths; its pictures are taken where they are wanted."""
    told = []
    for size in (WIDE, NARROW):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        told += [f"{pattern} at {size[0]} px: {fault}" for fault in faults(page, axe)]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            told.append(f"{pattern}: {wider} px wider than a window of {size[0]}")
        if PICTURES:
            take_picture(page, pattern, size)
    if page.title().startswith(" "):
        told.append(f"{pattern}: the page has no title")
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    return told


def take_picture(page: Any, pattern: str, size: tuple[int, int]) -> None:
    """A picture of few colours: these are pages, not photographs."""
    name = re.sub(r"\{(\w+)[^}]*\}", r"\1", pattern).strip("/").replace("/", "-") or "wheel"
    if size == NARROW and name not in ALSO_NARROW:
        return
    file = Path(str(PICTURES)) / f"{name}{'-narrow' if size == NARROW else ''}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    page.wait_for_load_state("networkidle")
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide")))
    taken.convert("RGB").quantize(160).save(file, optimize=True)


def test_every_page_that_a_link_leads_to_is_fit_for_use_at_both_widths(visit, axe):
    told: list[str] = []
    seen = walk(visit("ada"), lambda page, pattern: told.extend(looked_at(page, pattern, axe)))
    assert not told, "\n".join(told)
    assert seen >= {
        *(entry.address for entry in ENTRIES),
        "/frames/{frame_id}",
        "/lineage/{what:path}",
        "/review/{job}",
        "/selections/{number}",
        "/versions/{label}",
    }


def test_so_are_an_annotator_s_jobs(visit, axe):
    page = visit("anna", "/jobs")
    told = looked_at(page, "/jobs", axe)
    page.locator("a[href$='/annotate']").first.click()
    page.wait_for_load_state("networkidle")
    told += looked_at(page, "/jobs/{job}/annotate", axe)
    assert not told, "\n".join(told)


def test_the_page_to_sign_in_on_is_fit_for_use_too(visit, axe):
    for size in (WIDE, NARROW):
        page = visit(None, "/frames?camera=x", size=size)
        assert urlsplit(page.url).path == "/signin"
        assert faults(page, axe) == []
        if PICTURES:
            take_picture(page, "/signin", size)


def test_somebody_signs_in_comes_back_to_where_they_were_and_signs_out(visit, site):
    page = visit(None, "/frames?camera=camera-1")
    page.locator("input[name=name]:focus").wait_for()
    page.keyboard.type("anna")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    visit.expected.append("status of 403")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("the name or the password is wrong").wait_for()
    page.locator("input[name=password]:focus").wait_for()
    page.keyboard.type(PASSWORD.format("anna"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/frames?camera=camera-1")
    assert page.get_by_role("link", name="Review", exact=True).count() == 0
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.go_back()
    page.wait_for_url("**/signin**")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(visit):
    page = visit("ada", "/frames")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    assert skip.evaluate("e => e === document.activeElement")
    assert skip.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(3):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_targets_are_large_enough_for_a_finger(visit):
    page = visit("ada", "/", size=NARROW)
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, .button, nav a, input:not([type=hidden]), select')]
        .filter(e => e.offsetParent && !e.closest('label.choice') && e.getBoundingClientRect().height < 44)
        .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert small == []


def test_an_expired_session_is_told_to_people_and_to_programs(visit, site):
    page = visit("anna", "/jobs")
    page.context.clear_cookies()
    told = page.evaluate("fetch('/jobs/1/session', {headers: {Accept: 'application/json'}}).then(a => a.json())")
    assert told["error"] == "signed-out"
    visit.expected.append("status of 401")
    page.reload()
    assert page.url.endswith("/signin?next=/jobs")


def test_nobody_puts_a_page_into_another(visit, site):
    page = visit("ada", "/frames")
    page.set_content(f'<iframe src="{site.address}/frames"></iframe>')
    page.wait_for_timeout(300)
    visit.expected += ["frame-ancestors", "X-Frame-Options", "Refused to display", "chrome-error"]
    assert page.frames[-1].evaluate("document.querySelector('main')") is None


def test_a_script_in_a_page_does_not_run(visit):
    page = visit("ada", "/frames")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 2'}))")
    page.wait_for_timeout(300)
    visit.expected += ["Content Security Policy", "status of 404"]
    assert page.evaluate("window.ran") is None


def test_ctrl_c_ends_it_well_and_it_starts_again_where_it_was(visit, site):
    page = visit("anna", "/jobs")
    visit.expected.append("ERR_CONNECTION_REFUSED")
    assert site.end(signal.SIGINT) == 0
    site.start()
    page.reload()
    page.get_by_role("button", name="Sign out").wait_for()


def test_a_port_that_is_taken_is_an_expected_error(site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = site.shell.type(f"dataengine serve --port {taken.getsockname()[1]}")
    assert ended.code == 7
    assert "cannot be listened on" in ended.err
    assert "choose another --port" in ended.err
