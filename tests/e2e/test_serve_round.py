"""The whole way in a browser: annotate, submit, reject, correct, accept, export; the drawn box is the exported one."""

from __future__ import annotations

import json

import pytest

pytest_plugins = ["browser"]
pytestmark = pytest.mark.required
JOB = 3  # anna's


def annotated(visit):
    page = visit("anna", f"/jobs/{JOB}/annotate")
    page.wait_for_selector("#stage[data-frame]")
    return page


def pixel(page, x, y):
    """Where a pixel of the frame is in the window; the footage is 640 x 480."""
    sheet = page.locator("#sheet").bounding_box()
    return sheet["x"] + x / 640 * sheet["width"], sheet["y"] + y / 480 * sheet["height"]


def drag(page, start, end):
    page.mouse.move(*pixel(page, *start))
    page.mouse.down()
    page.mouse.move(*pixel(page, *end), steps=4)
    page.mouse.up()


def saved(page):
    page.wait_for_selector("#saving[data-kind=saved]")


def hand_in(page):
    saved(page)
    page.keyboard.press("Control+Enter")
    page.locator("#hand-in-yes").click()
    page.wait_for_url("**/jobs")


def test_annotate_submit_reject_correct_accept_export(visit, site):
    page = annotated(visit)
    frame = page.get_attribute("#stage", "data-frame")
    drag(page, (300, 30), (350, 70))
    hand_in(page)

    # Rita sees what was added to the proposals, and points at it.
    rita = visit("rita", "/review")
    rita.get_by_role("link", name=f"Job {JOB}").click()
    rita.wait_for_selector("#stage[data-painted=true]")
    assert rita.get_attribute("#stage", "data-frame") == frame
    assert rita.locator("#frame-boxes li.added").count() == 1
    drawn = rita.locator("#stage svg rect.added").evaluate(
        "(r) => ['x', 'y', 'width', 'height'].map((n) => +r.getAttribute(n))"
    )
    assert drawn == pytest.approx([300, 30, 50, 40], abs=1.0)
    rita.keyboard.press("r")
    rita.keyboard.type("It ends too early")
    x, y = (drawn[0] + drawn[2] / 2, drawn[1] + drawn[3] / 2)
    sheet = rita.locator("#stage .sheet").bounding_box()
    rita.mouse.click(sheet["x"] + x / 640 * sheet["width"], sheet["y"] + y / 480 * sheet["height"])
    rita.locator("#remark textarea").press("Control+Enter")
    rita.locator("#notice").get_by_text(f"Job {JOB} rejected and back with anna").wait_for()

    # Anna reads why, beside the frame and as text, and makes it larger.
    page.goto(site.address + f"/jobs/{JOB}/annotate")
    page.wait_for_selector("#stage[data-frame]")
    page.locator("#remarks").get_by_text("It ends too early").wait_for()
    told = site.shell.type(f"dataengine review show {JOB} --json").json()
    (issue,) = [issue for issue in told["issues"] if not issue["resolved"]]
    assert issue["message"] == "It ends too early"
    assert issue["box"] == pytest.approx(drawn, abs=0.05)
    page.mouse.click(*pixel(page, 325, 50))
    drag(page, (350, 70), (370, 80))
    hand_in(page)

    # Only the frame that changed is to be looked at again; then all are clean.
    rita.goto(site.address + f"/review/{JOB}")
    rita.wait_for_selector("#stage[data-painted=true]")
    assert rita.get_attribute("#stage", "data-frame") == frame
    for _ in range(3):
        rita.keyboard.press("a")
    rita.locator("#notice").get_by_text("All 3 frames are clean").wait_for()
    rita.keyboard.press("a")
    rita.locator("#notice").get_by_text("1 job accepted").wait_for()

    done = site.shell.type("dataengine export")
    assert done.code == 0, done.err
    newest = max((site.root / "master_dataset").glob("master_dataset_v*.json"), key=lambda path: path.stat().st_mtime)
    document = json.loads(newest.read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    boxes = [box["bbox"] for box in document["annotations"] if frame[:8] in names[box["image_id"]]]
    wanted = [300, 30, 70, 50]
    (found,) = [box for box in boxes if all(abs(a - b) <= 1.0 for a, b in zip(box, wanted, strict=True))]
    assert found[2] > 60
