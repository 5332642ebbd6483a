"""A job under review: what its reviewer sees of it, what is kept of their look, and the decision that follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from data_engine.app.annotation import drafts, review, reviewing, reviewing_decide, reviewing_job, reviewing_marks
from data_engine.app.annotation.audit import audit
from data_engine.app.annotation.reviewing_marks import Given
from data_engine.app.annotation.upload import upload
from data_engine.app.lineage.lineage_purge import purge
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import reviewing as lineage_reviewing
from data_engine.lineage.tables import jobs, review_marks, review_remarks, reviews
from data_engine.stages.export import dataset_name
from data_engine.types import Issue

ANN, RITA, REX = "ann", "rita", "rex"
FRAMES = 6
PROPOSED = [
    ("person", (4.0, 4.0, 12.0, 10.0)),
    ("helmet", (36.0, 30.0, 12.0, 10.0)),
    ("person", (20.0, 20.0, 8.0, 8.0)),
]
LEFT = [("person", (4.0, 4.0, 12.0, 10.0)), ("helmet", (37.0, 31.0, 12.0, 10.0)), ("helmet", (50.0, 2.0, 9.0, 7.0))]


@pytest.fixture
def loop(workspace):
    """Two jobs of three frames, annotated by ann and handed in; a model proposed three boxes on each frame."""
    folder = workspace.draw("pictures", range(FRAMES))
    engine = workspace.open(upload={"job_size": 3, "assignee": (ANN,)}, sync={"lead": None})
    upload(engine, frames=folder, preannotations=proposals(workspace, engine, folder))
    for number in (1, 2):
        submit(engine, number, LEFT)
    return workspace, engine


def proposals(workspace, engine, folder):
    from data_engine.app.footage.pictures import frames_in

    frames, _failures = frames_in(engine, folder, hint="")
    images, boxes = [], []
    for number, frame in enumerate(frames, 1):
        images.append({"id": number, "file_name": dataset_name(frame), "width": frame.width, "height": frame.height})
        for label, xywh in PROPOSED:
            category = 1 + ("person", "helmet").index(label)
            row = {"image_id": number, "category_id": category, "bbox": xywh, "score": 0.5}
            boxes.append({"id": len(boxes) + 1, **row})
    file = workspace.root / "pre.json"
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "helmet"}]
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return file


def submit(engine, number, boxes, *, by=ANN, only=None):
    """Hand in these boxes on every frame of the job (or on one of them, by its place), as drawn anew."""
    path = Path(engine.backend().link_of(number))
    document = json.loads(path.read_text("utf-8"))
    ids = {category["name"]: category["id"] for category in document["categories"]}
    images = [image["id"] for at, image in enumerate(document["images"]) if only in (None, at)]
    rows = [row for row in document["annotations"] if row["image_id"] not in images]
    for image in images:
        for label, xywh in boxes:
            rows.append({"image_id": image, "category_id": ids[label], "bbox": list(xywh), "area": xywh[2] * xywh[3]})
    document["annotations"] = [{**row, "id": number} for number, row in enumerate(rows, 1)]
    path.write_text(json.dumps(document), "utf-8")
    review.submit(engine, number, by=by)


def look(engine, number, by=RITA, mark="clean", seconds=2.0, frames=None):
    shown = reviewing_job.view(engine, number).frames
    given = [Given(each.id, mark, each.content, seconds) for each in (shown if frames is None else frames)]
    return reviewing_marks.mark(engine, number, by, given)


def accept(engine, number, by=RITA, *, others_only=True, expected=None):
    seen = expected or engine.backend().job(number).updated_at
    return reviewing_decide.accept(engine, number, by=by, expected=seen, others_only=others_only)


def reject(engine, number, by=RITA, *, reason="", expected=None):
    seen = expected or engine.backend().job(number).updated_at
    return reviewing_decide.reject(engine, number, by=by, expected=seen, others_only=True, reason=reason)


# --- what is seen -----------------------------------------------------------------------------------------------------


def test_each_box_tells_what_became_of_the_one_before(loop):
    _workspace, engine = loop
    (frame, *_others) = reviewing_job.view(engine, 1).frames
    told = frame.told()
    assert [(b["what"], b["label"], b.get("by")) for b in told["boxes"]] == [
        ("kept", "person", 0.0),
        ("moved", "helmet", 1.0),
        ("added", "helmet", None),
    ]
    assert told["boxes"][1]["was"] == {"label": "helmet", "box": (36.0, 30.0, 12.0, 10.0)}
    assert told["removed"] == [{"label": "person", "box": (20.0, 20.0, 8.0, 8.0), "score": 0.5}]
    assert frame.counts == {"kept": 1, "moved": 1, "added": 1, "removed": 1}
    # The very sums that the audit makes of the same job.
    row = audit(engine).rows[0]
    assert {name: row[name] for name in frame.counts} == dict.fromkeys(frame.counts, FRAMES)
    assert json.loads(json.dumps(told))["id"] == frame.id


def test_a_probe_is_not_told(workspace):
    folder = workspace.draw("pictures", range(FRAMES))
    engine = workspace.open(upload={"job_size": FRAMES, "assignee": (ANN,), "probes": "20%"})
    upload(engine, frames=folder, preannotations=proposals(workspace, engine, folder))
    review.submit(engine, 1, by=ANN)
    shown = reviewing_job.view(engine, 1)
    assert {fate.what for frame in shown.frames for fate in frame.boxes} == {"kept"}
    assert "probe" not in json.dumps([frame.told() for frame in shown.frames])


def test_looking_changes_nothing(loop):
    _workspace, engine = loop
    before = engine.backend().job(1)
    with engine.database.read() as connection:
        recorded = lineage_reviewing.last_deed(connection, reviewing_job.view(engine, 1).seen.known.id)
    reviewing_job.view(engine, 1)
    assert engine.backend().job(1) == before
    assert recorded is not None
    assert recorded.action == "submitted"


def test_a_job_that_is_gone_is_told(loop):
    _workspace, engine = loop
    with pytest.raises(MissingInputError, match="there is no job 99"):
        reviewing_job.view(engine, 99)
    with pytest.raises(MissingInputError, match="there is no job 99"):
        reviewing_marks.standing(engine, 99)


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_is_paged_and_holds_what_waits(loop):
    _workspace, engine = loop
    page = reviewing.waiting(engine, limit=1)
    assert (page.total, [row.job.number for row in page.rows]) == (2, [1])
    assert page.annotators == (ANN,)
    rest = reviewing.waiting(engine, limit=1, after=page.next)
    assert ([row.job.number for row in rest.rows], rest.next) == ([2], "")
    row = page.rows[0]
    assert (row.job.annotator, row.job.waits_for, row.job.frames, row.job.marked, row.second_look) == (
        ANN,
        None,
        3,
        0,
        False,
    )
    look(engine, 1, frames=reviewing_job.view(engine, 1).frames[:2])
    look(engine, 1, by=REX, frames=reviewing_job.view(engine, 1).frames[:1])
    assert reviewing.waiting(engine).rows[0].job.marked == 2
    assert reviewing.waiting(engine, annotator="nobody").rows == ()
    assert reviewing.waiting(engine, task=page.tasks[0][0]).total == 2
    assert reviewing.waiting(engine, person=ANN).total == 0, "nobody is offered their own work"
    review.assign(engine, [2], REX)
    assert [row.job.waits_for for row in reviewing.waiting(engine).rows] == [None, REX]
    assert [row.job.number for row in reviewing.waiting(engine, person=RITA).rows] == [1]
    accept(engine, 1)
    assert [row.job.number for row in reviewing.waiting(engine).rows] == [2]
    with pytest.raises(UsageError, match="no place in the list"):
        reviewing.waiting(engine, after="behind the moon")


def test_on_two_levels_the_lead_looks_again(workspace):
    folder = workspace.draw("pictures", range(3))
    engine = workspace.open(upload={"job_size": 3, "assignee": (ANN,)}, sync={"two_level": True, "lead": "lena"})
    upload(engine, frames=folder)
    review.submit(engine, 1, by=ANN)
    made = accept(engine, 1)
    assert made.said.startswith("1 job to the lead")
    (row,) = reviewing.waiting(engine).rows
    assert (row.second_look, row.job.waits_for) == (True, "lena")
    assert reviewing.waiting(engine, person=RITA).rows == ()
    with pytest.raises(ConflictError, match="waits for the second look"):
        accept(engine, 1)
    accept(engine, 1, by="lena")
    assert engine.backend().job(1).accepted


# --- marks ------------------------------------------------------------------------------------------------------------


def test_marks_are_seen_by_others_and_fall_with_the_boxes(loop):
    _workspace, engine = loop
    look(engine, 1)
    frames = reviewing_job.view(engine, 1).frames
    look(engine, 1, by=REX, mark="seen", frames=frames[:1])
    frames = reviewing_job.view(engine, 1).frames
    assert [frame.standing for frame in frames] == ["clean"] * 3
    assert {mark.reviewer for mark in frames[0].marks} == {RITA, REX}
    reject(engine, 1, reason="again")
    submit(engine, 1, PROPOSED, only=1)
    frames = reviewing_job.view(engine, 1).frames
    assert [frame.standing for frame in frames] == ["clean", "", "clean"], "only where the boxes are others"
    assert not frames[1].is_valid(frames[1].marks[0])


def test_marks_that_are_sent_twice_are_the_same(loop):
    _workspace, engine = loop
    frame, *_others = reviewing_job.view(engine, 1).frames
    for seconds in (3.0, 1.0, 3.0):
        reviewing_marks.mark(engine, 1, RITA, [Given(frame.id, "clean", frame.content, seconds)])
    told = reviewing_marks.mark(engine, 1, RITA, [Given(frame.id, "seen", frame.content, 0.5)])
    ((mark,),) = [told.marks]
    assert (mark.mark, mark.seconds) == ("seen", 3.0)
    both = [Given(frame.id, "seen", frame.content, 1.0), Given(frame.id, "clean", frame.content, 1e9)]
    (mark,) = reviewing_marks.mark(engine, 1, RITA, both).marks
    assert (mark.mark, mark.seconds) == ("clean", reviewing_marks.LONGEST_LOOK_S), "the last one counts"


def test_a_mark_of_something_else_is_refused(loop):
    _workspace, engine = loop
    frame, *_others = reviewing_job.view(engine, 2).frames
    with pytest.raises(MissingInputError, match="job 1 has no frame"):
        reviewing_marks.mark(engine, 1, RITA, [Given(frame.id, "clean", frame.content)])
    for bad in (
        Given(frame.id, "fine", frame.content),
        Given(frame.id, "clean", "x"),
        Given(frame.id, "clean", frame.content, float("nan")),
    ):
        with pytest.raises(UsageError, match="no mark of a frame"):
            reviewing_marks.mark(engine, 2, RITA, [bad])
    assert reviewing_marks.standing(engine, 2).marks == ()


@pytest.mark.parametrize(
    ("message", "box", "why"),
    [
        (" ", None, "1 to 2000 letters"),
        ("x" * 2001, None, "1 to 2000 letters"),
        ("x", (1.0, 1.0, 0.0, 5.0), "not in the picture"),
        ("x", (70.0, 1.0, 5.0, 5.0), "not in the picture, which has 64 x 48 pixels"),
        ("x", (float("nan"), 1.0, 5.0, 5.0), "not in the picture"),
    ],
)
def test_a_remark_says_something_about_the_picture(loop, message, box, why):
    _workspace, engine = loop
    frame, *_others = reviewing_job.view(engine, 1).frames
    with pytest.raises(UsageError, match=why):
        reviewing_marks.remark(engine, 1, RITA, frame.id, message, box)


# --- decisions --------------------------------------------------------------------------------------------------------


def test_remarks_are_collected_and_sent_with_the_rejection(loop):
    _workspace, engine = loop
    first, second, _third = reviewing_job.view(engine, 1).frames
    reviewing_marks.remark(engine, 1, RITA, first.id, "this is no helmet", (60.0, 1.0, 9.0, 7.0))
    told = reviewing_marks.remark(engine, 1, REX, second.id, "<b>one is missing</b>")
    again = reviewing_marks.remark(engine, 1, REX, second.id, "<b>one is missing</b>")
    assert [r.id for r in told.remarks] == [r.id for r in again.remarks]
    gone = reviewing_marks.remark(engine, 1, RITA, second.id, "a slip")
    reviewing_marks.unremark(engine, 1, gone.remarks[-1].id)
    with pytest.raises(ConflictError, match="2 remarks that its annotator was not told of"):
        accept(engine, 1)
    made = reject(engine, 1)
    assert (made.said, made.next) == (f"job 1 rejected and back with {ANN}", 2)
    issues = {(i.message, i.author, i.frame_name, i.xywh) for i in engine.backend().issues(1)}
    assert issues == {
        ("this is no helmet", RITA, first.name, (60.0, 1.0, 4.0, 7.0)),
        ("<b>one is missing</b>", REX, second.name, None),
    }
    assert reviewing_marks.standing(engine, 1).remarks == ()
    job = engine.backend().job(1)
    assert (job.stage, job.state, job.assignee) == ("annotation", "rejected", ANN)
    shown = review.show(engine, 1)
    assert {issue["message"] for issue in shown.data["issues"]} == {"this is no helmet", "<b>one is missing</b>"}
    # After the correction the earlier remarks are shown beside the frame.
    submit(engine, 1, PROPOSED)
    assert [len(frame.issues) for frame in reviewing_job.view(engine, 1).frames] == [1, 1, 0]


def test_a_rejection_needs_a_reason(loop):
    _workspace, engine = loop
    with pytest.raises(UsageError, match="without a reason"):
        reject(engine, 1)
    assert engine.backend().job(1).stage == "validation"


def test_a_rejection_that_was_killed_goes_on(loop, monkeypatch):
    """Killed after any of its steps and made again, there is each remark once."""
    _workspace, engine = loop
    first, second, _third = reviewing_job.view(engine, 1).frames
    reviewing_marks.remark(engine, 1, RITA, first.id, "one")
    reviewing_marks.remark(engine, 1, RITA, second.id, "two")
    seen = engine.backend().job(1).updated_at
    steps = [
        "data_engine.annotation.local.LocalBackend.update_job",
        "data_engine.app.annotation.reviewing_decide._record",
    ]
    for step in steps:
        with monkeypatch.context() as patch:
            patch.setattr(step, _killed)
            with pytest.raises(KeyboardInterrupt):
                reject(engine, 1, expected=seen)
    reject(engine, 1, expected=seen)
    assert sorted(issue.message for issue in engine.backend().issues(1)) == ["one", "two"]
    assert reviewing_marks.standing(engine, 1).remarks == ()
    with engine.database.read() as connection:
        identity = reviewing_job.view(engine, 1).seen.known.id
        assert len(lineage_reviewing.looks_at(connection, [identity])[identity]) == 1


def _killed(*_args, **_kwargs):
    raise KeyboardInterrupt


def test_who_is_second_is_told_and_overwrites_nothing(loop):
    _workspace, engine = loop
    seen = engine.backend().job(1).updated_at
    accept(engine, 1)
    after = engine.backend().job(1)
    for second in (
        lambda: accept(engine, 1, REX, expected=seen),
        lambda: reject(engine, 1, REX, reason="no", expected=seen),
    ):
        with pytest.raises(ConflictError, match="job 1 was accepted by rita while you looked at it"):
            second()
    assert (engine.backend().job(1), engine.backend().issues(1)) == (after, [])
    # An answer that was lost: the same again by the same person.
    accept(engine, 1, expected=seen)
    seen = engine.backend().job(2).updated_at
    reject(engine, 2, reason="no")
    submit(engine, 2, PROPOSED)
    with pytest.raises(ConflictError, match=r"job 2 was changed by somebody else \(stage validation, state new\)"):
        reject(engine, 2, reason="no", expected=seen)


def test_nobody_decides_on_their_own_work(loop):
    _workspace, engine = loop
    for decide in (accept, lambda *given: reject(*given, reason="no")):
        with pytest.raises(ConflictError, match="job 1 was annotated by Ann"):
            decide(engine, 1, "Ann")
    accept(engine, 1, ANN, others_only=False)
    assert engine.backend().job(1).accepted


def test_who_drew_is_not_who_decides_whoever_handed_it_in(loop):
    _workspace, engine = loop
    reject(engine, 1, reason="the man at the gate is missing")
    backend = engine.backend()
    backend.update_job(1, assignee=RITA)
    frame = reviewing_job.view(engine, 1).frames[0]
    draft = drafts.read(engine, 1, frame.id).draft
    drafts.save(engine, 1, frame.id, draft.boxes[:1], expected=draft.revision, person=RITA)
    backend.update_job(1, assignee=ANN)
    review.submit(engine, 1, by=ANN)
    with pytest.raises(ConflictError, match=f"job 1 was annotated by {RITA}"):
        accept(engine, 1)
    accept(engine, 1, by="lea")


def test_an_account_is_who_it_was_by_its_e_mail(loop):
    _workspace, engine = loop
    engine.backend().add_person("annie", "ann@example.com", "long enough a password", "reviewer")
    with engine.database.write() as connection:
        connection.execute(sa.update(jobs).values(annotator="ann@example.com"))
        connection.execute(sa.update(reviews).values(actor="ANN@example.com"))
    with pytest.raises(ConflictError, match="job 1 was annotated by annie"):
        accept(engine, 1, by="annie")


# --- what is known of the look ----------------------------------------------------------------------------------------


def test_the_audit_tells_a_stamp_from_a_look(loop):
    _workspace, engine = loop
    look(engine, 1, seconds=2.5)
    accept(engine, 1)
    look(engine, 2, by=REX, seconds=0.1, frames=reviewing_job.view(engine, 2).frames[:2])
    accept(engine, 2, REX)
    told = audit(engine)
    assert told.tables["reviewers"] == [
        {"reviewer": REX, "jobs": 1, "frames": 3, "unopened": 1, "seconds_per_frame": 0.1, "flagged": 1},
        {"reviewer": RITA, "jobs": 1, "frames": 3, "unopened": 0, "seconds_per_frame": 2.5, "flagged": 0},
    ]
    assert told.data["unlooked_jobs"] == [
        {"job": 2, "reviewer": REX, "frames": 3, "unopened": 1, "seconds_per_frame": 0.1}
    ]
    assert (
        "job 2 was accepted by rex, and nobody opened 1 of 3 frames and a frame was looked at for 0.10 s" in told.notes
    )


def test_decided_without_the_pages_nothing_is_said_of_a_look(loop):
    _workspace, engine = loop
    review.accept(engine, [1, 2], by=RITA)
    told = audit(engine)
    assert "unlooked_jobs" not in told.data
    assert told.tables == {}


def test_a_purge_forgets_what_was_said_of_the_frames(loop):
    _workspace, engine = loop
    first, second, _third = reviewing_job.view(engine, 1).frames
    look(engine, 1)
    reviewing_marks.remark(engine, 1, RITA, first.id, f"look at {second.name}")
    reviewing_marks.remark(engine, 1, RITA, second.id, "gone with its frame")
    purge(engine, frame=second.id, sure=lambda _question: True)
    with engine.database.read() as connection:
        marked = connection.execute(review_marks.select()).all()
        remarked = connection.execute(review_remarks.select()).all()
    assert second.id not in {row.frame_id for row in marked}
    assert len(marked) == 2
    (left,) = remarked
    assert left.frame_id == first.id
    assert second.name not in left.message
    with pytest.raises(MissingInputError, match="has no frame"):
        reviewing_marks.mark(engine, 1, RITA, [Given(second.id, "clean", second.content)])
    assert len(reviewing_job.view(engine, 1).frames) == 2


def test_an_issue_on_the_whole_job_is_shown_beside_it(loop):
    _workspace, engine = loop
    reject(engine, 1, reason="too few")
    submit(engine, 1, PROPOSED)
    (issue,) = reviewing_job.view(engine, 1).issues
    assert isinstance(issue, Issue)
    assert issue.message == "too few"
