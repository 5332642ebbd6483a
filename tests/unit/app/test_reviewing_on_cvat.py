"""The pages' review where boxes are corrected on a server: the same view, and the same decisions through the port."""

from __future__ import annotations

import json
import uuid

import pytest

from data_engine.app.annotation import reviewing, reviewing_decide, reviewing_job, reviewing_marks
from data_engine.app.annotation.reviewing_marks import Given
from data_engine.app.annotation.sync import sync
from data_engine.app.annotation.upload import upload
from data_engine.errors import ConflictError

pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
from cvat_server import ADMIN, CvatServer

pytestmark = pytest.mark.required


@pytest.fixture(scope="module")
def server():
    with CvatServer(seed=18) as running:
        for name in ("ada", "rev"):
            running.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield running


@pytest.fixture
def engine(workspace, server):
    """A job of 2 frames with a person proposed on each; ada has moved the first one's, and completed the job."""
    account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": uuid.uuid4().hex[:8]}
    settings = {"task_size": 2, "job_size": 2, "assignee": ("ada",)}
    engine = workspace.open(annotation={"backend": "cvat"}, cvat=account, upload=settings, sync={"reviewer": ("rev",)})
    folder = workspace.draw("in", range(2))
    images = [{"id": n, "file_name": f"p{name}.jpg", "width": 64, "height": 48} for n, name in enumerate("ab", 1)]
    box = {"category_id": 1, "bbox": [4.0, 4.0, 12.0, 10.0], "score": 0.8}
    annotations = [{"id": n, "image_id": n, **box} for n in (1, 2)]
    file = workspace.root / "pre.json"
    categories = [{"id": 1, "name": "person"}]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    upload(engine, frames=folder, preannotations=file)
    hand_in(engine, 2.0)
    return engine


def hand_in(engine, by):
    """What ada does in the server's own page."""
    (job,) = engine.backend().jobs()
    content = engine.backend().annotations(job.id).boxes
    first = job.frame_names[0]
    moved = [
        type(box)(box.label, (box.xywh[0] + by, *box.xywh[1:]), box.score, box.proposal_id) for box in content[first]
    ]
    engine.backend().put_annotations(job.id, {**content, first: moved})
    engine.backend().update_job(job.id, state="completed", assignee="ada")
    sync(engine)


def test_a_job_is_seen_marked_and_decided_on(engine):
    (row,) = reviewing.waiting(engine).rows
    number = row.job.number
    assert (row.job.annotator, row.job.waits_for, row.job.frames) == ("ada", "rev", 2)
    shown = reviewing_job.view(engine, number)
    assert [[fate.what for fate in frame.boxes] for frame in shown.frames] == [["moved"], ["kept"]]
    assert shown.link == engine.backend().link_of(number)
    marks = [Given(frame.id, "clean", frame.content, 1.0) for frame in shown.frames]
    reviewing_marks.mark(engine, number, "rev", marks)
    first = shown.frames[0]
    reviewing_marks.remark(engine, number, "rev", first.id, "too far left", first.boxes[0].box.xywh)
    seen = shown.seen.job.updated_at
    made = reviewing_decide.reject(engine, number, by="rev", expected=seen, others_only=True, reason="not yet")
    assert made.said == f"job {number} rejected and back with ada"
    issues = {issue.message: issue for issue in engine.backend().issues(number)}
    assert set(issues) == {"not yet", "too far left"}
    assert (issues["too far left"].frame_name, issues["not yet"].frame_name) == (first.name, None)
    assert issues["too far left"].xywh == pytest.approx(first.boxes[0].box.xywh, abs=0.1)
    job = engine.backend().job(number)
    assert (job.stage, job.state, job.assignee) == ("annotation", "rejected", "ada")
    assert reviewing.waiting(engine).rows == ()

    hand_in(engine, 3.0)
    shown = reviewing_job.view(engine, number)
    assert [frame.standing for frame in shown.frames] == ["", "clean"], (
        "what was not changed need not be looked at again"
    )
    with pytest.raises(ConflictError, match="while you looked at it"):
        reviewing_decide.accept(engine, number, by="rev", expected=seen, others_only=True)
    expected = shown.seen.job.updated_at
    reviewing_decide.accept(engine, number, by="rev", expected=expected, others_only=True)
    assert engine.backend().job(number).accepted


def test_what_was_said_on_the_server_waits_for_sync_not_for_a_reviewer(engine):
    (row,) = reviewing.waiting(engine).rows
    engine.backend().update_job(row.job.number, state="completed")
    reviewing_job.view(engine, row.job.number)
    from data_engine.app.annotation.jobs import refresh

    refresh(engine, engine.backend())
    assert reviewing.waiting(engine).rows == ()
