"""The editor in a real browser, by real mouse and keys: what is drawn is what is handed in, whatever happens."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from data_engine.app.annotation import drafts, review
from data_engine.types import Box

pytest_plugins = ["browser"]
pytestmark = pytest.mark.required

# The workspace of the browser's fixtures: jobs 3 to 6 of three frames; 3 is anna's, 4 is ben's, 5 came back to anna.
ANNA, BEN, BACK = 3, 4, 5


def opened(page: Any) -> Any:
    """The page once its frame is shown."""
    page.wait_for_selector("#stage[data-frame]")
    return page


def shown(page: Any, index: int) -> None:
    """Wait until this frame is shown."""
    page.wait_for_function(
        "index => document.getElementById('stage').ariaLabel.startsWith(`Frame ${index + 1} of`)", arg=index
    )


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a point of the frame is in the window."""
    box = page.locator("#sheet").bounding_box()
    width, height = (
        page.evaluate("document.getElementById('overlay').viewBox.baseVal.width"),
        page.evaluate("document.getElementById('overlay').viewBox.baseVal.height"),
    )
    return box["x"] + x / width * box["width"], box["y"] + y / height * box["height"]


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one point of the frame to another."""
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    page.mouse.move(*at(page, *middle))
    page.mouse.move(*at(page, *end))
    page.mouse.up()


def saved(page: Any) -> None:
    """Wait until the server has everything."""
    page.wait_for_selector("#saving[data-kind='saved']", timeout=30_000)


def frame_of(page: Any) -> str:
    return page.get_attribute("#stage", "data-frame")


def on_disk(site: Any, job: int, frame_id: str) -> tuple[Box, ...]:
    with site.engine() as engine:
        return drafts.read(engine, job, frame_id).draft.boxes


def drawn_by_hand(boxes: tuple[Box, ...]) -> list[Box]:
    return [box for box in boxes if box.proposal_id is None]


def near(xywh: tuple[float, ...], wanted: tuple[float, ...], tolerance: float = 1.0) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(xywh, wanted, strict=True))


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@pytest.mark.parametrize("presses", ["", "+++++", "-----"], ids=["fit", "larger", "smaller"])
def test_a_box_drawn_at_given_pixels_is_that_box(visit, site, presses):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    for key in presses:
        page.keyboard.press(key)
    # In the middle, which is in the window at every zoom.
    at_x, at_y, wide, high = {"": (300, 30, 51, 43), "+++++": (301, 222, 37, 29), "-----": (352, 301, 83, 60)}[presses]
    before = len(on_disk(site, ANNA, frame_of(page)))
    drag(page, (at_x, at_y), (at_x + wide, at_y + high))
    saved(page)
    boxes = on_disk(site, ANNA, frame_of(page))
    assert len(boxes) == before + 1
    assert near(boxes[-1].xywh, (at_x, at_y, wide, high)), boxes[-1]
    assert boxes[-1].proposal_id is None
    assert boxes[-1].score is None
    # By its corner it is made larger, by its inside it is moved.
    drag(page, (at_x + wide, at_y + high), (at_x + wide + 20, at_y + high + 10))
    drag(page, (at_x + wide / 2, at_y + high / 2), (at_x + wide / 2 - 15, at_y + high / 2 + 5))
    saved(page)
    wanted = (at_x - 15, at_y + 5, wide + 20, high + 10)
    assert near(on_disk(site, ANNA, frame_of(page))[-1].xywh, wanted), on_disk(site, ANNA, frame_of(page))[-1]
    page.keyboard.press("Delete")
    saved(page)
    assert len(on_disk(site, ANNA, frame_of(page))) == before


def test_a_box_ends_at_the_edge_of_its_picture(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    # Beside the picture the stage goes on.
    drag(page, (600, 20), (650, 60))
    saved(page)
    assert near(on_disk(site, ANNA, frame_of(page))[-1].xywh, (600, 20, 40, 40))
    drag(page, (600, 60), (580, 80))
    drag(page, (640, 40), (655, 40))
    saved(page)
    assert near(on_disk(site, ANNA, frame_of(page))[-1].xywh, (580, 20, 60, 60))
    drag(page, (610, 50), (635, 55))
    saved(page)
    assert near(on_disk(site, ANNA, frame_of(page))[-1].xywh, (580, 25, 60, 60))
    page.keyboard.press("Delete")
    saved(page)


def test_a_click_draws_nothing_and_chooses_what_is_there(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    boxes = on_disk(site, ANNA, frame_of(page))
    smallest = min(boxes, key=lambda box: box.xywh[2] * box.xywh[3])
    x, y, w, h = smallest.xywh
    page.mouse.click(*at(page, x + w / 2, y + h / 2))
    chosen = page.locator("#boxes [aria-pressed='true']")
    chosen.wait_for()
    assert smallest.label in chosen.inner_text()
    page.mouse.click(*at(page, 5, 5))
    chosen.wait_for(state="detached")
    # A line has no area.
    drag(page, (300, 20), (360, 20))
    page.wait_for_timeout(700)
    assert on_disk(site, ANNA, frame_of(page)) == boxes


def test_all_of_it_by_keys_alone(visit, site):
    page = opened(visit("ben", f"/jobs/{BEN}/annotate"))
    page.keyboard.press("f")
    shown(page, 1)
    page.wait_for_function("document.activeElement.id === 'stage'")
    frame_id = frame_of(page)
    first, *others = on_disk(site, BEN, frame_id)
    page.keyboard.press("Tab")
    for key in ("ArrowRight", "Shift+ArrowDown", "Alt+ArrowRight", "Alt+Shift+ArrowDown"):
        page.keyboard.press(key)
    other = 3 if first.label != "no-helmet" else 1
    page.keyboard.press(str(other))
    page.keyboard.press("n")
    page.keyboard.press("1")
    page.keyboard.press("ArrowLeft")
    saved(page)
    changed, *rest = on_disk(site, BEN, frame_id)
    x, y, w, h = first.xywh
    assert near(changed.xywh, (x + 1, y + 10, w + 1, h + 10), 0.02)
    # What it began as is known for ever.
    assert (changed.proposal_id, changed.score) == (first.proposal_id, first.score)
    assert changed.label != first.label
    assert rest[:-1] == others
    assert rest[-1].label == "person"
    page.keyboard.press("Delete")
    for _ in range(20):
        page.keyboard.press("Control+z")
    saved(page)
    assert on_disk(site, BEN, frame_id) == (first, *others)
    page.keyboard.press("Control+Shift+z")
    saved(page)
    assert on_disk(site, BEN, frame_id) != (first, *others)
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    shown(page, 0)
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Not yet").wait_for()
    page.keyboard.press("Escape")


def test_two_windows_do_not_overwrite_each_other(visit, site):
    one = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    two = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    visit.expected.append("409")
    frame_id = frame_of(one)
    before = len(on_disk(site, ANNA, frame_id))
    drag(one, (300, 20), (340, 60))
    saved(one)
    drag(two, (400, 20), (450, 60))
    two.get_by_role("button", name="Take theirs").wait_for()
    assert "you, in another window" in two.inner_text("#trouble")
    assert two.locator(".an-theirs rect").count() == 1
    assert [box.xywh[0] for box in drawn_by_hand(on_disk(site, ANNA, frame_id))] == [pytest.approx(300, abs=1)]
    two.get_by_role("button", name="Keep mine").click()
    saved(two)
    assert [box.xywh[0] for box in drawn_by_hand(on_disk(site, ANNA, frame_id))] == [pytest.approx(400, abs=1)]
    drag(one, (20, 20), (60, 60))
    one.get_by_role("button", name="Take theirs").click()
    saved(one)
    assert one.inner_text("#count") == str(before + 1)
    # One step back is mine again.
    one.keyboard.press("Control+z")
    saved(one)
    assert one.inner_text("#count") == str(before + 2)
    for _ in range(2):
        one.keyboard.press("Control+z")
    saved(one)


def test_what_is_not_decided_stays_so_over_a_reload(visit, site):
    one = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    two = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    visit.expected.append("409")
    frame_id = frame_of(one)
    before = on_disk(site, ANNA, frame_id)
    drag(one, (300, 20), (340, 60))
    saved(one)
    drag(two, (400, 20), (450, 60))
    two.get_by_role("button", name="Take theirs").wait_for()
    for _again in range(2):
        two.reload()
        opened(two)
        two.get_by_role("button", name="Take theirs").wait_for()
        assert two.inner_text("#saving") == "Not saved"
        # More is drawn, and nothing is decided by it.
        drag(two, (500, 20), (540, 60))
        assert two.get_by_role("button", name="Keep mine").is_visible()
        assert len(on_disk(site, ANNA, frame_id)) == len(before) + 1
    # It is not handed in so, and what can be done stays in sight.
    two.click("#submit")
    two.locator("#hand-in button[value='yes']").click()
    two.wait_for_function("document.getElementById('said').textContent.startsWith('Not handed in')")
    two.get_by_role("button", name="Keep mine").click()
    saved(two)
    mine = [round(box.xywh[0]) for box in on_disk(site, ANNA, frame_id)[len(before) :]]
    assert mine == [400, 500, 500]
    with site.engine() as engine:
        now = drafts.read(engine, ANNA, frame_id).draft
        drafts.save(engine, ANNA, frame_id, before, expected=now.revision, person="anna")


@pytest.mark.parametrize("reloaded", [False, True])
def test_an_answer_that_was_lost_is_no_conflict(visit, site, reloaded):
    """Where the page was loaded again it cannot tell, and asks."""
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    visit.expected += ["Failed to load resource", "409"]
    frame_id = frame_of(page)
    before = on_disk(site, ANNA, frame_id)

    def lose(route: Any) -> None:
        if route.request.method == "PUT":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/frames/*", lose)
    drag(page, (300, 20), (340, 60))
    page.wait_for_selector("#saving[data-kind='trouble']")
    assert len(on_disk(site, ANNA, frame_id)) == len(before) + 1
    drag(page, (400, 20), (440, 60))
    page.unroute("**/frames/*")
    # The server has the first box and not the second.
    if reloaded:
        page.reload()
        opened(page)
        page.get_by_role("button", name="Keep mine").click()
    saved(page)
    assert page.inner_text("#count") == str(len(before) + 2)
    assert len(on_disk(site, ANNA, frame_id)) == len(before) + 2
    with site.engine() as engine:
        now = drafts.read(engine, ANNA, frame_id).draft
        drafts.save(engine, ANNA, frame_id, before, expected=now.revision, person="anna")


def test_a_server_that_ends_in_mid_save_loses_nothing(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    visit.expected += ["Failed to load resource", "ERR_CONNECTION"]
    page.keyboard.press("f")
    shown(page, 1)
    frame_id = frame_of(page)
    before = len(on_disk(site, ANNA, frame_id))
    site.end(signal.SIGKILL)
    drag(page, (300, 20), (340, 60))
    page.wait_for_selector("#saving[data-kind='trouble']")
    assert "the server does not answer" in page.inner_text("#trouble")
    drag(page, (400, 20), (440, 60))
    site.start()
    saved(page)
    assert not page.is_visible("#trouble")
    assert len(on_disk(site, ANNA, frame_id)) == before + 2


def test_a_page_loaded_again_has_the_edits_that_were_not_saved(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    visit.expected.append("Failed to load resource")
    frame_id = frame_of(page)
    before = len(on_disk(site, ANNA, frame_id))
    page.route("**/frames/*", lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
    drag(page, (300, 20), (340, 60))
    page.wait_for_selector("#saving[data-kind='trouble']")
    assert len(on_disk(site, ANNA, frame_id)) == before
    page.reload()
    opened(page)
    page.wait_for_selector("#saving[data-kind='trouble']")
    assert page.inner_text("#count") == str(before + 1)
    page.unroute("**/frames/*")
    until(lambda: len(on_disk(site, ANNA, frame_id)) == before + 1)
    saved(page)
    page.keyboard.press("Control+z")
    saved(page)
    assert len(on_disk(site, ANNA, frame_id)) == before


def test_an_expired_session_says_so_and_goes_on_when_somebody_signs_in(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    visit.expected.append("401")
    frame_id = frame_of(page)
    before = len(on_disk(site, ANNA, frame_id))
    page.context.clear_cookies()
    drag(page, (300, 20), (340, 60))
    page.get_by_role("button", name="Sign in (new window)").wait_for()
    assert len(on_disk(site, ANNA, frame_id)) == before
    visit.sign_in(page.context, "anna")
    saved(page)
    assert len(on_disk(site, ANNA, frame_id)) == before + 1
    page.keyboard.press("Control+z")
    saved(page)


def test_a_job_that_was_handed_in_elsewhere_keeps_the_edit_in_the_browser(visit, site):
    page = opened(visit("ben", f"/jobs/{BEN}/annotate"))
    visit.expected.append("409")
    page.wait_for_timeout(300)
    with site.engine() as engine:
        review.submit(engine, BEN, by="ben")
    drag(page, (300, 20), (340, 60))
    page.wait_for_selector("#saving[data-kind='trouble']")
    assert "was handed in" in page.inner_text("#trouble")
    assert page.evaluate("Object.keys(localStorage).length") == 1
    with site.engine() as engine:
        review.reject(engine, BEN, "The <b>box</b> & its name.", by="rita", frame="3", box=(300, 20, 40, 40))
    page.reload()
    opened(page)
    # The reviewer's words are words, whatever is in them.
    assert page.inner_text("#remarks q") == "The <b>box</b> & its name."
    assert page.locator(".an-remark rect").count() == 1
    saved(page)
    assert near(drawn_by_hand(on_disk(site, BEN, frame_of(page)))[-1].xywh, (300, 20, 40, 40))


def test_a_rejected_job_is_corrected_and_handed_in(visit, site):
    page = visit("anna", "/jobs")
    row = page.get_by_role("row").filter(has_text=re.compile("sent back"))
    row.get_by_role("link", name="Correct").click()
    opened(page)
    assert "The helmet is not marked on the first frame." in page.inner_text("#remarks")
    page.keyboard.press("2")
    drag(page, (300, 40), (330, 75))
    page.keyboard.press("Control+Enter")
    assert "2 of its 3 frames" in page.inner_text("#hand-in-text")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs")
    assert "submitted" in page.inner_text(".flash")
    with site.engine() as engine:
        boxes = engine.backend().annotations(BACK).boxes
        assert engine.backend().job(BACK).stage == "validation"
    assert any(box.label == "helmet" and near(box.xywh, (300, 40, 30, 35)) for rows in boxes.values() for box in rows)


def test_the_wheel_zooms_where_the_pointer_is_and_space_moves_the_picture(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    before = on_disk(site, ANNA, frame_of(page))
    where = at(page, 480, 120)
    page.mouse.move(*where)
    page.mouse.wheel(0, -800)
    page.wait_for_function("() => parseInt(document.getElementById('zoom').innerText) > 400")
    assert at(page, 480, 120) == (pytest.approx(where[0], abs=1.5), pytest.approx(where[1], abs=1.5))
    page.keyboard.down(" ")
    page.mouse.down()
    page.mouse.move(where[0] - 60, where[1] + 40)
    page.mouse.up()
    page.keyboard.up(" ")
    assert at(page, 480, 120) == (pytest.approx(where[0] - 60, abs=1.5), pytest.approx(where[1] + 40, abs=1.5))
    page.keyboard.press("0")
    assert page.locator("#sheet").bounding_box()["height"] <= page.locator("#stage").bounding_box()["height"] + 1
    page.wait_for_timeout(700)
    assert on_disk(site, ANNA, frame_of(page)) == before


def test_a_reduced_picture_changes_no_coordinate(visit, site):
    page = visit(None, "/signin")
    _ok, small = cv2.imencode(".png", np.full((97, 130, 3), 90, np.uint8))
    page.route("**/pictures/*", lambda route: route.fulfill(body=small.tobytes(), content_type="image/png"))
    visit.sign_in(page.context, "anna")
    page.goto(f"{site.address}/jobs/{ANNA}/annotate")
    opened(page)
    assert page.evaluate("document.querySelector('#sheet img').naturalWidth") == 130
    drag(page, (400, 300), (460, 345))
    drag(page, (460, 345), (470, 335))
    saved(page)
    assert near(on_disk(site, ANNA, frame_of(page))[-1].xywh, (400, 300, 70, 35))
    page.keyboard.press("Delete")
    saved(page)


def test_fingers_draw_and_zoom_on_a_small_screen(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate", size=(390, 844)))
    frame_id = frame_of(page)
    before = len(on_disk(site, ANNA, frame_id))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        listed = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": listed})

    fingers("touchStart", at(page, 300, 60))
    fingers("touchMove", at(page, 340, 90))
    fingers("touchMove", at(page, 380, 120))
    fingers("touchEnd")
    saved(page)
    boxes = on_disk(site, ANNA, frame_id)
    assert len(boxes) == before + 1
    assert near(boxes[-1].xywh, (300, 60, 80, 60), 1.5)
    zoom = page.inner_text("#zoom")
    (x, y), far = at(page, 320, 240), 60
    fingers("touchStart", (x - 20, y))
    fingers("touchStart", (x - 20, y), (x + 20, y))
    fingers("touchMove", (x - far, y), (x + far, y))
    fingers("touchEnd")
    page.wait_for_function("old => document.getElementById('zoom').innerText !== old", arg=zoom)
    page.wait_for_timeout(700)
    assert len(on_disk(site, ANNA, frame_id)) == before + 1


def test_the_answer_to_what_is_no_box(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    frame_id = frame_of(page)
    with site.engine() as engine:
        revision = drafts.read(engine, ANNA, frame_id).draft.revision

    def put(boxes: list[dict[str, Any]], token: bool = True, job: int = ANNA) -> Any:
        headers = {"Origin": site.address, "Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["X-CSRF-Token"] = page.get_attribute("meta[name='csrf-token']", "content")
        return page.request.put(
            f"{site.address}/jobs/{job}/frames/{frame_id}",
            headers=headers,
            data=json.dumps({"revision": revision, "boxes": boxes}),
        )

    before = on_disk(site, ANNA, frame_id)
    for xywh in ([5, 5, 0, 10], [5, 5, 10, -3], [900, 5, 10, 10], ["a", 1, 1, 1], [1, 2, 3], [1e400, 0, 1, 1]):
        answer = put([{"label": "person", "xywh": xywh}])
        assert (answer.status, answer.json()["error"]) == (422, "usage"), xywh
    assert put([{"label": "<script>", "xywh": [1, 1, 5, 5]}]).status == 422
    assert put([{"label": "person", "xywh": [1, 1, 5, 5], "proposal": "made up"}]).status == 422
    assert put([], token=False).status == 403
    assert put([], job=BACK).status in (404, 409)
    assert put([], job=999).status == 404
    assert on_disk(site, ANNA, frame_id) == before


def test_a_job_that_is_gone_keeps_the_edit_in_the_browser(visit, site):
    page = opened(visit("anna", f"/jobs/{ANNA}/annotate"))
    visit.expected.append("404")
    with site.engine() as engine:
        job = engine.backend().job(ANNA)
        engine.backend().remove_frames(job.task_id, job.frame_names)
    drag(page, (300, 20), (340, 60))
    page.wait_for_selector("#saving[data-kind='trouble']")
    assert f"there is no job {ANNA}" in page.inner_text("#trouble")
    assert page.evaluate("Object.keys(localStorage).length") == 1
    page.reload()
    assert "there is no job" in page.inner_text("main")
