"""Reviewing in a real browser by real keys: marks, remarks with a box, decisions, and what goes wrong meanwhile."""

from __future__ import annotations

import json
import signal

import pytest
from browser import NARROW

from data_engine.app.annotation import review, reviewing_marks

pytest_plugins = ["browser"]
pytestmark = pytest.mark.required
MARKS = "() => Object.keys(localStorage).filter((name) => name.startsWith('dataengine-review'))"


@pytest.fixture
def job(site):
    """A job that ben handed in: of the four open ones the last; again where an earlier test decided on it."""
    with site.engine() as engine:
        found = engine.backend().jobs()[-1]
        if found.accepted:
            review.reject(engine, found.id, "once more", by="rita")
            found = engine.backend().job(found.id)
        if found.stage == "annotation":
            review.submit(engine, found.id, by="ben")
        with engine.database.write() as connection:
            from data_engine.lineage.tables import review_marks, review_remarks

            connection.execute(review_marks.delete())
            connection.execute(review_remarks.delete())
    return found.id


def opened(visit, job, person="rita", **more):
    """The job's page with its first frame on the screen."""
    page = visit(person, f"/review/{job}", **more)
    page.wait_for_selector("#stage[data-painted=true]")
    return page


def shown(page):
    return page.get_attribute("#stage", "data-frame")


def frames_of(page):
    return [frame["id"] for frame in json.loads(page.text_content("#job-data"))["frames"]]


def sent(page):
    """Everything is with the server."""
    page.wait_for_function(f"() => ({MARKS})().length === 0")


def marks(site, job):
    with site.engine() as engine:
        told = reviewing_marks.standing(engine, job)
        return {(mark.frame_id, mark.reviewer): mark.mark for mark in told.marks}


def standing(site, job):
    with site.engine() as engine:
        found = engine.backend().job(job)
        return found.stage, found.state


def notice(page, text):
    page.locator("#notice").get_by_text(text).wait_for()


def test_a_clean_frame_costs_one_key_and_the_last_one_more_accepts(visit, site, job):
    page = visit("rita", "/review")
    page.get_by_role("link", name=f"Job {job}").click()
    page.wait_for_selector("#stage[data-painted=true]")
    frames = frames_of(page)
    for frame, following in zip(frames, [*frames[1:], frames[-1]], strict=True):
        assert shown(page) == frame
        page.keyboard.press("a")
        assert shown(page) == following
    notice(page, "All 3 frames are clean")
    assert standing(site, job) == ("validation", "new")
    page.keyboard.press("a")
    notice(page, "1 job accepted")
    assert standing(site, job) == ("acceptance", "completed")
    assert marks(site, job) == {(frame, "rita"): "clean" for frame in frames}
    page.get_by_role("link", name="To the list").wait_for()
    page.keyboard.press("n")
    page.get_by_text("No job waits for a reviewer").wait_for()


def test_rejected_with_a_reason_and_a_box_that_was_drawn(visit, site, job):
    page = opened(visit, job)
    first, second, _third = frames_of(page)
    page.keyboard.press("r")
    page.keyboard.type("This one is <b>no</b> helmet")
    sheet = page.locator("#stage .sheet").bounding_box()
    per_pixel = 640 / sheet["width"]
    x, y = sheet["x"] + 100.0, sheet["y"] + 80.0
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y + 60, steps=4)
    page.mouse.up()
    drawn = [float(page.input_value(f"#remark [name={name}]")) for name in "xywh"]
    assert drawn == pytest.approx([100 * per_pixel, 80 * per_pixel, 120 * per_pixel, 60 * per_pixel], abs=1.0)
    page.get_by_role("button", name="Keep and go on").click()
    page.wait_for_function(f"() => document.querySelector('#stage').dataset.frame === '{second}'")
    # And one by keys alone: a place of its own, moved and made larger.
    page.keyboard.press("r")
    page.keyboard.type("nobody marked this")
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.classList.contains('point')")
    before = [float(page.input_value(f"#remark [name={name}]")) for name in "xywh"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    after = [float(page.input_value(f"#remark [name={name}]")) for name in "xywh"]
    assert [now > was for now, was in zip(after, before, strict=True)] == [True, False, True, False]
    page.locator("#remark textarea").press("Enter")
    page.wait_for_selector("#remark", state="hidden")
    page.keyboard.press("Shift+R")
    page.locator("#reject-remarks").get_by_text("nobody marked this").wait_for()
    assert page.locator("#reject-remarks li").count() == 2
    page.locator("#reject").get_by_role("button", name="Reject", exact=True).click()
    notice(page, f"Job {job} rejected and back with ben")
    assert standing(site, job) == ("annotation", "rejected")
    told = json.loads(site.shell.type(f"dataengine review show {job} --json").out)
    issues = {issue["message"]: issue for issue in told["issues"]}
    said = issues["This one is <b>no</b> helmet"]
    assert (said["author"], said["resolved"]) == ("rita", False)
    assert said["box"] == pytest.approx(drawn, abs=0.01)
    assert issues["nobody marked this"]["box"] == pytest.approx(after, abs=0.01)
    names = {frame["id"]: frame["name"] for frame in json.loads(page.text_content("#job-data"))["frames"]}
    assert (said["frame"], issues["nobody marked this"]["frame"]) == (names[first], names[second])


def test_a_click_points_at_the_box_under_it_and_escape_keeps_nothing(visit, site, job):
    page = opened(visit, job)
    frame = json.loads(page.text_content("#job-data"))["frames"][0]
    x, y, w, h = min((box["box"] for box in frame["boxes"]), key=lambda box: box[2] * box[3])
    sheet = page.locator("#stage .sheet").bounding_box()
    scale = sheet["width"] / frame["width"]
    page.keyboard.press("r")
    page.mouse.click(sheet["x"] + (x + w / 2) * scale, sheet["y"] + (y + h / 2) * scale)
    assert [float(page.input_value(f"#remark [name={name}]")) for name in "xywh"] == pytest.approx(
        [x, y, w, h], abs=0.01
    )
    page.keyboard.press("Escape")
    assert page.locator("#remark").is_hidden()
    with site.engine() as engine:
        assert reviewing_marks.standing(engine, job).remarks == ()


def test_two_reviewers_see_each_other_and_the_second_decision_is_told(visit, site, job):
    rita, ada = opened(visit, job), opened(visit, job, "ada")
    rita.keyboard.press("a")
    sent(rita)
    ada.keyboard.press("a")  # its answer brings what rita said
    sent(ada)
    ada.keyboard.press("ArrowLeft")
    ada.locator("#frame-marks").get_by_text("rita: clean; ada: clean").wait_for()
    rita.get_by_role("button", name="Accept the job").click()
    notice(rita, "Nobody looked at 2 frames")
    rita.get_by_role("button", name="Accept with 2 not looked at").click()
    notice(rita, "1 job accepted")
    visit.expected.append("409")
    ada.get_by_role("button", name="Reject…").click()
    ada.locator("#reject textarea").fill("I would not have")
    ada.locator("#reject").get_by_role("button", name="Reject", exact=True).click()
    notice(ada, f"Job {job} was accepted by rita while you looked at it")
    assert standing(site, job) == ("acceptance", "completed")
    with site.engine() as engine:
        assert "I would not have" not in [issue.message for issue in engine.backend().issues(job)]


def test_marks_wait_for_a_server_that_is_gone_and_survive_a_reload(visit, site, job):
    page = opened(visit, job)
    frames = frames_of(page)
    visit.expected.append("ERR_CONNECTION_REFUSED")
    page.wait_for_timeout(300)  # the pictures of the next frames
    site.end(signal.SIGKILL)
    page.keyboard.press("a")
    page.keyboard.press("a")
    page.locator("#outbox").get_by_text("2 marks not sent: the server does not answer").wait_for()
    assert shown(page) == frames[2]
    site.start()
    page.reload()
    sent(page)
    assert {frame: marks(site, job).get((frame, "rita")) for frame in frames[:2]} == dict.fromkeys(frames[:2], "clean")


def test_a_session_that_ended_keeps_the_marks(visit, site, job):
    page = opened(visit, job)
    frame = frames_of(page)[0]
    visit.expected += ["401", "403"]
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.keyboard.press("a")
    page.locator("#outbox").get_by_text("you are signed out").wait_for()
    assert cookies
    visit.sign_in(page.context, "rita")
    sent(page)
    assert marks(site, job)[frame, "rita"] == "clean"


def test_grid_and_single_by_keys(visit, site, job):
    page = opened(visit, job)
    frames = frames_of(page)
    page.keyboard.press("g")
    assert page.locator("#single").is_hidden()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == f"cell-{frames[1]}"
    page.keyboard.press("a")
    page.wait_for_selector(f"#cell-{frames[1]}[data-standing=clean]")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("u")
    page.wait_for_selector(f"#cell-{frames[1]}[data-standing=seen]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#stage[data-painted=true]")
    assert shown(page) == frames[1]
    for kind in ("before", "after", "both"):
        page.keyboard.press("b")
        assert page.text_content("#before-name").lower() == kind
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    width = page.locator("#stage .sheet").bounding_box()["width"]
    page.keyboard.press("+")
    assert page.locator("#stage .sheet").bounding_box()["width"] == pytest.approx(1.5 * width, rel=0.01)
    page.keyboard.press("0")
    assert page.locator("#stage .sheet").bounding_box()["width"] == pytest.approx(width, rel=0.01)
    page.reload()
    page.wait_for_selector("#stage[data-painted=true]")
    assert shown(page) == frames[1], "the same frame after a reload"


def test_an_annotator_has_no_review_and_nobody_reviews_their_own(visit, site, job):
    visit.expected.append("403")
    page = visit("ben", f"/review/{job}")
    page.get_by_role("heading", name="This is not yours to do").wait_for()
    with site.engine() as engine:
        review.reject(engine, job, "somebody else is to do it", by="rita")
        review.submit(engine, job, by="ada")
    page = visit("ada", f"/review/{job}")
    page.get_by_text("was annotated by ada: somebody else decides on it").wait_for()
    assert page.get_by_role("button", name="Accept the job").is_disabled()
    visit.expected.append("409")
    answer = page.evaluate(
        """async (job) => (await fetch(`/review/${job}/accept`, {method: "POST", headers: {
             "X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content, Accept: "application/json"},
             body: new URLSearchParams({expected: JSON.parse(document.getElementById("job-data").textContent).expected})
           })).json()""",
        job,
    )
    assert answer["message"] == f"job {job} was annotated by ada"
    assert standing(site, job) == ("validation", "new")


def test_usable_on_a_phone(visit, site, job):
    page = opened(visit, job, size=NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
    for button in page.locator(".review-keys button:visible").all():
        assert button.bounding_box()["height"] >= 44
    first = shown(page)
    page.get_by_role("button", name="Clean").click()
    assert shown(page) != first
    lists = visit("rita", "/review", size=NARROW)
    assert lists.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def test_a_job_that_is_gone_while_it_is_open(visit, site, job):
    page = opened(visit, job)
    frames = frames_of(page)
    site.shell.type(f"dataengine lineage purge --frame {frames[1]} --yes")
    visit.expected.append("404")
    page.keyboard.press("a")
    page.keyboard.press("a")
    page.locator("#outbox").get_by_text("has no frame").wait_for()
    sent(page)
    assert marks(site, job) == {(frames[0], "rita"): "clean"}
