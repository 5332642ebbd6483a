"""The wheel, frames, selections, versions and lineage in a real browser: what they show is what the commands say."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from browser import NARROW

from data_engine.app.dataset.dataset_show import show
from data_engine.app.footage.embed import embed
from data_engine.app.footage.frame_index import STATES, read
from data_engine.app.pages.running import FOLDER
from data_engine.app.status import status
from data_engine.lineage import choices, datasets, footage

pytest_plugins = ["browser"]
pytestmark = pytest.mark.required

PAGES = ("/", "/frames", "/selections", "/selections/2", "/versions", "/versions/v1", "/lineage")


@pytest.fixture(scope="module")
def known(site):
    """What is on record: a frame of the newest version, a box of it, a frame with proposals."""
    with site.engine() as engine, engine.database.read() as connection:
        newest = datasets.latest(connection)
        boxes = datasets.boxes_of(connection, newest.number)
        chosen = choices.latest(connection)
        frames = footage.frames_by_id(connection, [*boxes, *(row.frame_id for row in chosen.frames)])
    held = next(frame_id for frame_id, rows in boxes.items() if rows)
    return {
        "version": newest,
        "held": frames[held],
        "box": boxes[held][0],
        "boxes": boxes[held],
        "chosen": frames[chosen.frames[0].frame_id],
        "selection": chosen,
    }


def _side(index, name: str) -> set[str]:
    return {index.ids[row] for row in range(len(index.ids)) if STATES[index.state[row]] == name}


def numbers(page) -> dict[str, int]:
    """The counts of the flow's steps."""
    page.locator(".flow").wait_for()
    steps = page.locator(".flow .step")
    return {
        steps.nth(n).locator(".label").inner_text(): int(
            re.sub(r"\D.*", "", steps.nth(n).locator(".value").inner_text().replace(",", "").strip())
        )
        for n in range(steps.count())
    }


def test_the_wheel_says_what_status_says_and_links_to_the_pages_behind(visit, site):
    page = visit("rita", "/")
    with site.engine() as engine:
        said = {row["step"]: row["count"] for row in status(engine).rows if not row["step"].startswith(" ")}
    assert numbers(page) == said
    page.get_by_role("heading", name="Classes in v1").wait_for()
    with site.engine() as engine:
        held = {row["class"]: row["boxes"] for row in show(engine).tables["classes"]}
    for name, boxes in held.items():
        row = page.locator(".bars li", has=page.get_by_role("link", name=name, exact=True))
        assert row.locator(".figure").inner_text().split()[0] == str(boxes)
    assert page.get_by_role("row", name=re.compile("^anna")).count() == 1
    for link in sorted({a.get_attribute("href") for a in page.locator("main a").all()}):
        assert page.request.get(site.address + link).status == 200, link


def test_an_annotator_sees_no_link_that_is_refused(visit, site):
    page = visit("anna", "/")
    page.locator(".flow").wait_for()
    for link in sorted({a.get_attribute("href") for a in page.locator("main a").all()}):
        assert page.request.get(site.address + link).status == 200, link


def test_what_happens_meanwhile_comes_by_itself(visit, site):
    page = visit("rita", "/")
    before = numbers(page)["videos"]
    folder = site.root / FOLDER
    folder.mkdir(exist_ok=True)
    told = '{"command":"sample","process":1,"begun":"","host":"elsewhere","started_at":"2026-03-02T08:00:00+00:00",'
    told += '"label":"sampling <b>hall</b>","done":30,"total":120,"unit":"videos","rate":2.0}'
    (folder / "elsewhere-1.json").write_text(told)
    page.get_by_text("sampling <b>hall</b>: 30 of 120 videos, 45 s left").wait_for()
    assert page.get_by_role("progressbar").get_attribute("value") == "0.2500"
    (folder / "elsewhere-1.json").unlink()
    page.get_by_text("None at the moment.").wait_for()
    assert numbers(page)["videos"] == before


def test_filters_find_the_frames_that_are_on_record(visit, site, known):
    page = visit("anna", "/frames")
    with site.engine() as engine:
        index = read(engine)
    page.locator("#found").wait_for()
    assert f"of {len(index.ids)} frames" in page.locator("#found").inner_text()
    page.get_by_label("Class").select_option("no-helmet")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**class=no-helmet**")
    shown = {a.get_attribute("href").rpartition("/")[2] for a in page.locator(".grid a").all()}
    assert shown == {index.ids[row] for row in index.classes["no-helmet"].tolist()} != set()
    assert page.get_by_label("Class").input_value() == "no-helmet"
    page.get_by_label("Camera").select_option("camera-1")
    page.get_by_label("State").select_option("train")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**state=train**")
    fewer = {a.get_attribute("href").rpartition("/")[2] for a in page.locator(".grid a").all()}
    rows = index.rows
    assert fewer == {i for i in shown if index.cameras[index.camera[rows[i]]] == "camera-1"} & _side(index, "train")
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Name holds").fill("<script>alert(1)</script>")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("No frame is like that.").wait_for()


def test_pages_of_frames_follow_each_other(visit, site):
    page = visit("anna", "/frames")
    with site.engine() as engine:
        index = read(engine)
    first = [a.get_attribute("href").rpartition("/")[2] for a in page.locator(".grid a").all()]
    assert first == list(index.ids[:60])
    page.goto(f"{site.address}/frames?after={index.ids[4]}")
    rest = [a.get_attribute("href").rpartition("/")[2] for a in page.locator(".grid a").all()]
    assert rest == list(index.ids[5:65])
    page.get_by_role("link", name="Previous").click()
    page.wait_for_url("**before=**")
    assert [a.get_attribute("href").rpartition("/")[2] for a in page.locator(".grid a").all()][:5] == first[:5]


def test_a_frame_shows_its_picture_and_every_box_where_it_is(visit, site, known):
    frame = known["held"]
    page = visit("anna", f"/frames/{frame.id}")
    assert (
        page.locator("#shot img").evaluate("async image => { await image.decode(); return image.naturalWidth }") == 640
    )
    rects = page.locator("#shot rect.accepted")
    assert rects.count() == len(known["boxes"])
    picture = page.locator("#shot img").bounding_box()
    scale = picture["width"] / frame.width
    drawn = sorted(
        tuple(round(value / scale, 1) for value in (box["x"] - picture["x"], box["y"] - picture["y"]))
        for box in (rect.bounding_box() for rect in rects.all())
    )
    expected = sorted(box.xywh[:2] for box in known["boxes"])
    for got, want in zip(drawn, expected, strict=True):
        # The line is drawn around the edge.
        assert got == pytest.approx(want, abs=4)
    page.get_by_label("accepted (solid)").uncheck()
    assert not rects.first.is_visible()
    page.locator("tbody a").first.click()
    page.wait_for_url("**/lineage/box:*")


def test_lineage_is_drawn_and_listed_and_walked_by_keyboard(visit, site, known):
    page = visit("anna", f"/lineage/box:{known['box'].id}?depth=3")
    page.locator(".graph svg .node.root").wait_for()
    nodes = page.locator(".graph svg .node").count()
    assert nodes >= 6
    assert page.locator(".graph svg .edge").count() >= nodes - 1
    listed = page.locator(".tree").first
    listed.get_by_role("link", name=re.compile(f"^frame {re.escape(known['held'].name)}")).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/lineage/frame:{known['held'].id}")
    page.locator(".graph svg .node.root").wait_for()
    page.goto(f"{site.address}/lineage")
    page.get_by_label("Id, number or name").fill("job 1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/lineage/job:*")


def test_no_file_is_looked_into_for_a_name_that_somebody_asks_for(visit, site):
    visit.expected.append("status of 404")
    secret = site.root / "dataengine.toml"
    page = visit("anna", f"/lineage?what={secret}")
    page.get_by_text("Nothing is recorded of").wait_for()
    for path in ("/pictures/..%2f..%2fdataengine.toml", "/thumbs/dataengine.toml", f"/lineage/frame:{secret}"):
        assert page.request.get(site.address + path).status == 404, path


def test_a_selection_is_told_by_rank_with_its_reasons(visit, known):
    page = visit("anna", "/selections")
    page.get_by_role("link", name="Selection 2").click()
    rows = page.locator("ol.grid > li")
    assert rows.count() == len(known["selection"].frames)
    assert [row.locator("strong").inner_text() for row in rows.all()] == [
        str(row.rank) for row in known["selection"].frames
    ]
    assert known["selection"].frames[0].reason in rows.first.inner_text()


def test_two_versions_are_held_against_each_other(visit, site, known):
    from data_engine.app.annotation import review
    from data_engine.app.merge.export import export

    with site.engine() as engine:
        job = next(job for job in engine.backend().jobs() if job.stage == "validation" and not job.accepted)
        review.accept(engine, [job.id], by="rita")
        export(engine)
        with engine.database.read() as connection:
            newest = datasets.latest(connection)
    assert newest.number == 2
    page = visit("rita", "/versions/v2")
    page.get_by_label("Against").select_option("v1")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/versions/v1/diff/v2")
    page.get_by_role("link", name=f"added {len(job.frame_names)}").click()
    shown = page.locator("ul.pair > li")
    assert shown.count() == len(job.frame_names)
    assert shown.locator("rect.after").count() > 0
    assert shown.locator("rect.before").count() == 0
    page.goto(f"{site.address}/versions")
    page.get_by_role("link", name="v1 to v2").wait_for()
    page.goto(f"{site.address}/")
    page.get_by_role("heading", name="Classes in v2").wait_for()


def test_similar_frames_are_found(visit, site, known):
    page = visit("anna", f"/frames/{known['held'].id}/like")
    visit.expected.append("status of 404")
    with site.engine() as engine:
        embed(engine)
    page.goto(f"{site.address}/frames/{known['held'].id}/like")
    cards = page.locator(".grid a")
    cards.first.wait_for()
    told = [float(re.search(r"([\d.]+) alike", card.inner_text())[1]) for card in cards.all()]
    assert told == sorted(told, reverse=True)
    assert len(told) > 10
    assert known["held"].id not in {card.get_attribute("href").rpartition("/")[2] for card in cards.all()}


@pytest.mark.parametrize("path", [*PAGES, "frame", "box"])
def test_pages_fit_a_narrow_screen(visit, site, known, path):
    path = {"frame": f"/frames/{known['chosen'].id}", "box": f"/lineage/box:{known['box'].id}"}.get(path, path)
    page = visit("rita", path, size=NARROW)
    page.wait_for_load_state("networkidle")
    assert urlsplit(page.url).path == path
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def test_a_damaged_and_a_missing_picture_have_a_placeholder(visit, site, known):
    frame = known["chosen"]
    path = site.root / frame.key
    whole = path.read_bytes()
    page = visit("anna", "/versions")
    (site.root / ".dataengine" / "renditions" / "thumb" / frame.id[:2] / f"{frame.id}.jpg").unlink(missing_ok=True)
    path.write_bytes(b"no picture")
    damaged = page.request.get(f"{site.address}/thumbs/{frame.id}")
    assert (damaged.status, damaged.headers["content-type"]) == (422, "image/svg+xml")
    path.unlink()
    gone = page.request.get(f"{site.address}/pictures/{frame.id}")
    assert (gone.status, gone.headers["content-type"]) == (404, "image/svg+xml")
    path.write_bytes(whole)
    there = page.request.get(f"{site.address}/thumbs/{frame.id}")
    assert (there.status, there.headers["content-type"]) == (200, "image/jpeg")
    again = page.request.get(f"{site.address}/thumbs/{frame.id}", headers={"If-None-Match": there.headers["etag"]})
    assert (again.status, again.body()) == (304, b"")
    assert "immutable" in there.headers["cache-control"]
