"""What every backend must do that keeps what people are drawing."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest

from data_engine.annotation.local import LocalBackend
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, UsageError
from data_engine.ports import AnnotationBackend, DraftKeeper
from data_engine.stages import review
from data_engine.storage.local import LocalStorage
from data_engine.types import Box, Draft, DraftMovedError, TaskFrame, TaskSpec, content_id

LABELS = ("person", "helmet <b>")
FRAMES = ("f0.jpg", "f1.jpg")
PROPOSED = Box("person", (10.125, 5.5, 20, 10), 0.73, "p0", attributes={"occluded": True})
DRAWN = Box("helmet <b>", (1.25, 2.5, 3, 4))


def connect(root: Path) -> LocalBackend:
    return LocalBackend(LocalStorage(root), clock=lambda: datetime.now(UTC))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work é"
    storage = LocalStorage(root)
    for name in FRAMES:
        storage.write_bytes(f"frames/{name}", b"picture")
    frames = tuple(
        TaskFrame(name, f"frames/{name}", 64, 48, (PROPOSED,) if at == 0 else ()) for at, name in enumerate(FRAMES)
    )
    connect(root).create_task(TaskSpec(content_id("t"), "T", LABELS, frames, 2, "ann"))
    return root


@pytest.fixture
def keeper(root: Path) -> LocalBackend:
    return connect(root)


def edited(root: Path) -> Path:
    return Path(connect(root).link_of(1))


def test_it_is_a_backend_and_a_keeper(keeper):
    assert isinstance(keeper, AnnotationBackend)
    assert isinstance(keeper, DraftKeeper)
    assert keeper.edits_files


def test_what_is_saved_is_what_is_read_and_what_is_handed_in(keeper, root):
    first = keeper.draft(1, "f0.jpg")
    assert first == Draft((PROPOSED,))
    moved = Box("helmet <b>", (11, 5.5, 21.25, 10), None, "p0")
    saved = keeper.save_draft(1, "f0.jpg", [moved, DRAWN], expected=first.revision, by="ann")
    # Of what was proposed, all but the place and the class stays.
    assert saved.boxes == (Box("helmet <b>", (11, 5.5, 21.25, 10), 0.73, "p0", attributes={"occluded": True}), DRAWN)
    assert saved.by == "ann"
    assert connect(root).draft(1, "f0.jpg") == saved
    assert keeper.draft(1, "f1.jpg").boxes == ()
    # Nothing counts before it is handed in.
    assert keeper.annotations(1).boxes["f0.jpg"] == (PROPOSED,)
    assert keeper.job(1).state == "new"
    review.submit(keeper, 1, keeper.submission(1))
    assert keeper.annotations(1).boxes["f0.jpg"] == saved.boxes


def test_a_box_that_was_deleted_comes_back_with_its_origin(keeper):
    first = keeper.draft(1, "f0.jpg")
    gone = keeper.save_draft(1, "f0.jpg", [], expected=first.revision, by="ann")
    back = keeper.save_draft(1, "f0.jpg", [Box("person", PROPOSED.xywh, None, "p0")], expected=gone.revision, by="ann")
    assert back.boxes == first.boxes
    assert back.revision == first.revision


def test_whoever_did_not_see_the_last_save_changes_nothing_and_is_told_whose_it_is(keeper):
    first = keeper.draft(1, "f0.jpg")
    theirs = keeper.save_draft(1, "f0.jpg", [DRAWN], expected=first.revision, by="ann")
    with pytest.raises(DraftMovedError, match="changed by ann") as caught:
        keeper.save_draft(1, "f0.jpg", [], expected=first.revision, by="ann")
    assert caught.value.theirs == theirs
    assert keeper.draft(1, "f0.jpg") == theirs
    # Other frames are not concerned, and the same boxes again are no second save.
    keeper.save_draft(1, "f1.jpg", [DRAWN], expected=keeper.draft(1, "f1.jpg").revision, by="ann")
    assert keeper.save_draft(1, "f0.jpg", [DRAWN], expected=first.revision, by="ann") == theirs


def test_a_file_that_a_tool_wrote_is_noticed_and_kept(keeper, root):
    first = keeper.draft(1, "f0.jpg")
    keeper.save_draft(1, "f0.jpg", [DRAWN], expected=first.revision, by="ann")
    seen = keeper.draft(1, "f0.jpg")
    file = json.loads(edited(root).read_text())
    file["annotations"][0]["bbox"] = [2, 2, 30, 30]
    edited(root).write_text(json.dumps(file))
    with pytest.raises(DraftMovedError, match="in the file or by somebody else") as caught:
        keeper.save_draft(1, "f0.jpg", [], expected=seen.revision, by="ann")
    assert caught.value.theirs.by is None
    assert caught.value.theirs.boxes[0].xywh == (2, 2, 30, 30)
    edited(root).write_text("{")
    with pytest.raises(DamagedInputError, match=r"annotations\.json"):
        keeper.save_draft(1, "f0.jpg", [], expected=seen.revision, by="ann")
    edited(root).unlink()
    with pytest.raises(MissingInputError, match=r"annotations\.json"):
        keeper.draft(1, "f0.jpg")


def test_a_file_that_a_tool_writes_during_the_save_is_not_lost(keeper, root, monkeypatch):
    """The tool knows no lock: it writes between the reading of the file and its replacement."""
    from data_engine.annotation import local_drafts

    real, written = local_drafts.write_job_file, []

    def while_it_is_made(frames, boxes, labels):
        made = real(frames, boxes, labels)
        if not written:
            written.append(True)
            edited(root).write_bytes(real(frames, {"f0.jpg": (PROPOSED,), "f1.jpg": (DRAWN, DRAWN)}, labels))
        return made

    monkeypatch.setattr(local_drafts, "write_job_file", while_it_is_made)
    keeper.save_draft(1, "f0.jpg", [DRAWN], expected=keeper.draft(1, "f0.jpg").revision, by="ann")
    assert keeper.draft(1, "f0.jpg").boxes == (DRAWN,)
    assert keeper.draft(1, "f1.jpg").boxes == (DRAWN, DRAWN)


@pytest.mark.parametrize(
    ("box", "why"),
    [
        (Box("person", (5, 5, 0, 10)), "0 x 10"),
        (Box("person", (5, 5, 10, -1)), "10 x -1"),
        (Box("person", (64, 5, 10, 10)), "no area in the picture"),
        (Box("person", (5, 5, 1e-9, 10)), "no area in the picture"),
        (Box("person", (float("nan"), 5, 10, 10)), "not finite"),
        (Box("person", (0, 0, float("inf"), 10)), "not finite"),
        (Box("cat", (5, 5, 10, 10)), "no label 'cat'"),
        (Box("person", (5, 5, 10, 10), None, "p9"), "that no box is"),
    ],
)
def test_what_is_no_box_is_refused(keeper, box, why):
    before = keeper.draft(1, "f0.jpg")
    with pytest.raises(UsageError, match=why):
        keeper.save_draft(1, "f0.jpg", [DRAWN, box], expected=before.revision, by="ann")
    assert keeper.draft(1, "f0.jpg") == before


def test_two_boxes_are_not_the_same_proposal(keeper):
    before = keeper.draft(1, "f0.jpg")
    twice = [Box("person", (5, 5, 10, 10), None, "p0"), Box("person", (6, 6, 10, 10), None, "p0")]
    with pytest.raises(UsageError, match="another"):
        keeper.save_draft(1, "f0.jpg", twice, expected=before.revision, by="ann")


def test_a_drawn_box_is_no_proposal_whatever_is_said_of_it(keeper):
    before = keeper.draft(1, "f0.jpg")
    said = {"proposal": "p0", "confidence": 0.9, "occluded": True}
    box = Box("person", (5, 5, 10, 10), 0.9, attributes=said)
    keeper.save_draft(1, "f0.jpg", [box], expected=before.revision, by="ann")
    assert keeper.draft(1, "f0.jpg").boxes == (Box("person", (5, 5, 10, 10), attributes={"occluded": True}),)


def test_a_box_is_cut_to_its_picture_and_stays_so(keeper):
    before = keeper.draft(1, "f0.jpg")
    box = Box("person", (-3.3, 40.7, 80.1, 20.3))
    saved = keeper.save_draft(1, "f0.jpg", [box], expected=before.revision, by="ann")
    x, y, w, h = saved.boxes[0].xywh
    assert (x, y) == (0, 40.7)
    assert (x + w, y + h) == (64, 48)
    assert keeper.draft(1, "f0.jpg").revision == saved.revision


def test_only_its_annotator_edits_it_and_only_before_it_is_handed_in(keeper):
    revision = keeper.draft(1, "f0.jpg").revision
    with pytest.raises(ConflictError, match="is ann's now"):
        keeper.save_draft(1, "f0.jpg", [], expected=revision, by="ben")
    keeper.update_job(1, assignee="ben")
    keeper.save_draft(1, "f0.jpg", [], expected=revision, by="ben")
    review.submit(keeper, 1, keeper.submission(1))
    with pytest.raises(ConflictError, match="handed in"):
        keeper.save_draft(1, "f0.jpg", [DRAWN], expected=keeper.draft(1, "f0.jpg").revision, by="ben")


@pytest.mark.parametrize(("job", "frame"), [(9, "f0.jpg"), (1, "f9.jpg"), (1, "../job.json")])
def test_what_there_is_not(keeper, job, frame):
    with pytest.raises(MissingInputError):
        keeper.draft(job, frame)
    with pytest.raises(MissingInputError):
        keeper.save_draft(job, frame, [], expected="")


def test_a_save_reads_nothing_of_other_jobs(keeper, root, monkeypatch):
    storage = LocalStorage(root)
    for number in range(3):
        frames = (TaskFrame("f0.jpg", "frames/f0.jpg", 64, 48), TaskFrame("f1.jpg", "frames/f1.jpg", 64, 48))
        keeper.create_task(TaskSpec(content_id("other", number), f"Other {number}", LABELS, frames, 1))
    read = []
    real = LocalStorage.read_bytes
    monkeypatch.setattr(LocalStorage, "read_bytes", lambda self, key: read.append(key) or real(self, key))
    fresh = connect(root)
    draft = fresh.draft(1, "f0.jpg")
    fresh.save_draft(1, "f0.jpg", [DRAWN], expected=draft.revision, by="ann")
    assert read
    assert {key.split("/tasks/")[1].split("/")[0] for key in read} == {"1"}
    assert all("/jobs/1/" in key or key.endswith("/1/task.json") for key in read)
    assert storage.exists("annotation/tasks/4/task.json")


def test_nothing_is_saved_while_a_job_is_handed_in(keeper, root):
    revision = keeper.draft(1, "f0.jpg").revision
    begun, told = threading.Event(), []

    def later() -> None:
        begun.set()
        try:
            connect(root).save_draft(1, "f0.jpg", [DRAWN], expected=revision, by="ann")
        except ConflictError as error:
            told.append(error.message)

    with keeper.undisturbed(1):
        boxes = keeper.submission(1)
        thread = threading.Thread(target=later)
        thread.start()
        assert begun.wait(10)
        review.submit(keeper, 1, boxes)
    thread.join(10)
    # Told that it is too late, not that it is saved.
    assert told == ["job 1 was handed in: its boxes are not edited any more"]
    assert keeper.annotations(1).boxes["f0.jpg"] == (PROPOSED,)


def test_a_job_is_held_by_one_at_a_time_and_nothing_is_left_of_that(keeper, root):
    before = sorted(root.rglob("*"))
    with keeper.undisturbed(1):
        impatient = LocalBackend(LocalStorage(root), clock=lambda: datetime.now(UTC), lock_timeout_s=0.05)
        with pytest.raises(ConflictError, match="changing job 1"), impatient.undisturbed(1):
            pass
    with keeper.undisturbed(1):
        pass
    assert sorted(root.rglob("*")) == before
    with pytest.raises(MissingInputError), keeper.undisturbed(9):
        pass


def test_frames_that_are_taken_out_leave_nothing(keeper, root):
    for name in FRAMES:
        keeper.save_draft(1, name, [DRAWN], expected=keeper.draft(1, name).revision, by="ann")
    keeper.remove_frames(1, ["f0.jpg"])
    assert keeper.draft(1, "f1.jpg").by == "ann"
    assert not any(b"f0.jpg" in path.read_bytes() for path in (root / "annotation").rglob("*") if path.is_file())


def add_boxes(root: Path, mine: int, count: int) -> None:
    """Add this writer's boxes to a frame that others write, too, one by one, whoever comes between."""
    keeper, frame = connect(root), FRAMES[mine % 2]
    for number in range(count):
        draft = keeper.draft(1, frame)
        while True:
            box = Box("person", (mine, number, 5, 5))
            try:
                keeper.save_draft(1, frame, [*draft.boxes, box], expected=draft.revision, by="ann")
                break
            except DraftMovedError as error:
                draft = error.theirs


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_of_twenty_writers_at_once_none_loses_a_box(keeper, root, pool):
    writers, each = 20, 3
    made = (
        ThreadPoolExecutor(writers)
        if pool == "threads"
        else ProcessPoolExecutor(4, mp_context=get_context("forkserver"))
    )
    with made as workers:
        list(workers.map(add_boxes, [root] * writers, range(writers), [each] * writers))
    found = [box.xywh[:2] for name in FRAMES for box in keeper.draft(1, name).boxes if box.proposal_id is None]
    assert sorted(found) == [(mine, number) for mine in range(writers) for number in range(each)]
