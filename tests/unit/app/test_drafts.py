"""Drawing in the pages: lists of jobs, a job opened, saved and handed in."""

from __future__ import annotations

import pytest

from data_engine.app.annotation import drafts, review
from data_engine.app.annotation.upload import upload
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.types import Box, DraftMovedError

ANN, BEN = "ann@example.com", "ben@example.com"


@pytest.fixture
def engine(workspace):
    """Jobs 1 to 3 of two frames: ann's, ben's, ann's."""
    engine = workspace.open(upload={"task_size": 6, "job_size": 2, "assignee": [ANN, BEN]})
    upload(engine, frames=workspace.draw("in", range(6)))
    return engine


def frames_of(engine, job):
    return [frame.id for frame in drafts.open_job(engine, job).frames]


def test_lists_have_each_job_where_it_belongs(engine):
    assert [job.number for job in drafts.lists(engine, ANN).mine] == [1, 3]
    drafts.start(engine, 3, ANN)
    review.assign(engine, [2], "")
    found = drafts.lists(engine, ANN)
    # What is begun comes first.
    assert [(job.number, job.state, job.frames) for job in found.mine] == [(3, "in progress", 2), (1, "new", 2)]
    assert [job.number for job in found.free] == [2]
    assert found.mine_total == 2
    assert (found.free_total, found.after) == (1, None)
    drafts.submit(engine, 1, ANN)
    review.reject(engine, 1, "again", by="rev@example.com")
    assert [(job.number, job.state) for job in drafts.lists(engine, ANN).mine] == [(1, "rejected"), (3, "in progress")]
    drafts.submit(engine, 3, ANN)
    assert [(job.number, job.state) for job in drafts.lists(engine, ANN).done] == [(3, "waits for review")]


def test_pages_of_jobs_follow_each_other_without_a_gap(workspace, monkeypatch):
    monkeypatch.setattr(drafts, "PAGE", 2)
    engine = workspace.open(upload={"task_size": 7, "job_size": 1})
    upload(engine, frames=workspace.draw("in", range(7)))
    drafts.start(engine, 5, ANN)
    review.assign(engine, [5], "")
    seen, after = [], None
    while True:
        found = drafts.lists(engine, BEN, after)
        seen.append([job.number for job in found.free])
        if found.after is None:
            break
        after = found.after
    assert seen == [[5, 1], [2, 3], [4, 6], [7]]
    assert found.free_total == 7


def test_a_job_is_opened_with_what_was_said_of_it(engine):
    opened = drafts.open_job(engine, 1)
    assert opened.drawn_here
    assert opened.labels == ("person", "helmet")
    assert [(frame.width, frame.height) for frame in opened.frames] == [(64, 48)] * 2
    assert not opened.remarks
    drafts.submit(engine, 1, ANN)
    review.reject(engine, 1, "first", by="rev@example.com", frame=opened.frames[1].name, box=(1, 2, 3, 4))
    drafts.submit(engine, 1, ANN)
    review.reject(engine, 1, "second", by="rev@example.com")
    drafts.start(engine, 1, ANN)
    opened = drafts.open_job(engine, 1)
    assert [issue.message for issue in opened.remarks] == ["second"]
    assert [(issue.message, issue.xywh) for issue in opened.earlier] == [("first", (1, 2, 3, 4))]


def test_what_is_saved_is_handed_in(engine):
    first, second = frames_of(engine, 1)
    drawn = Box("helmet", (5, 6, 7, 8))
    now = drafts.read(engine, 1, first).draft
    saved = drafts.save(engine, 1, first, [drawn], expected=now.revision, person=ANN)
    assert (saved.boxes, saved.by) == ((drawn,), ANN)
    with pytest.raises(DraftMovedError):
        drafts.save(engine, 1, first, [], expected=now.revision, person=ANN)
    report = drafts.submit(engine, 1, ANN)
    assert report.title == "job 1 submitted: 1 box on 2 frames"
    with pytest.raises(ConflictError, match="handed in"):
        drafts.save(engine, 1, second, [drawn], expected=drafts.read(engine, 1, second).draft.revision, person=ANN)


def test_work_begins_once_and_belongs_to_one_person(engine):
    drafts.start(engine, 1, ANN)
    at = engine.backend().job(1).updated_at
    drafts.start(engine, 1, ANN)
    assert engine.backend().job(1).updated_at == at
    with pytest.raises(ConflictError, match=r"is ann@example\.com's"):
        drafts.start(engine, 1, BEN)
    first = frames_of(engine, 1)[0]
    with pytest.raises(ConflictError, match=r"is ann@example\.com's now"):
        drafts.save(engine, 1, first, [], expected="", person=BEN)
    with pytest.raises(ConflictError, match="not yours"):
        drafts.submit(engine, 1, BEN)


def test_what_there_is_not(engine):
    of_another = frames_of(engine, 2)[0]
    for job, frame in ((9, of_another), (1, of_another), (1, "x"), (1, "../../dataengine.toml")):
        with pytest.raises(MissingInputError):
            drafts.read(engine, job, frame)
        with pytest.raises(MissingInputError):
            drafts.save(engine, job, frame, [], expected="", person=ANN)
    with pytest.raises(MissingInputError):
        drafts.open_job(engine, 9)
    first = frames_of(engine, 1)[0]
    with pytest.raises(UsageError, match="at most"):
        drafts.save(engine, 1, first, [Box("person", (1, 1, 2, 2))] * 2001, expected="", person=ANN)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"label": "person"},
        {"label": "person", "xywh": [1, 2, 3]},
        {"label": "person", "xywh": "abcd"},
        {"label": "person", "xywh": [1, 2, 3, None]},
        {"label": "person", "xywh": [1, 2, 3, 4], "attributes": [1]},
    ],
)
def test_what_is_no_box(given):
    with pytest.raises(UsageError):
        drafts.box_of(given)


def test_a_box_is_told_and_read_back():
    box = Box("person", (1.5, 2, 3, 4), 0.25, "p1", True, {"occluded": False})
    assert drafts.box_of(drafts.told(box)) == box
