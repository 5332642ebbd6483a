"""Every action from every stage and state, on the backend of plain files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import pytest

from data_engine.annotation.local import LocalBackend
from data_engine.errors import ConflictError, DamagedInputError, UsageError
from data_engine.stages.review import accept, next_step, reject, start, submit
from data_engine.storage.local import LocalStorage
from data_engine.types import Box, Job, Stage, State, TaskFrame, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STANDINGS = [(stage, state) for stage in get_args(Stage) for state in get_args(State)]
PROPOSED = {"a.jpg": (Box("person", (1, 2, 3, 4), 0.5, "p"),), "b.jpg": ()}
CORRECTED = {"a.jpg": (Box("person", (1, 2, 9, 9), 0.5, "p"),), "b.jpg": (Box("person", (0, 0, 1, 1)),)}


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    storage = LocalStorage(tmp_path)
    for name in PROPOSED:
        storage.write_bytes(name, b"picture")
    backend = LocalBackend(storage, clock=lambda: datetime.now(UTC))
    frames = tuple(TaskFrame(name, name, 64, 48, boxes) for name, boxes in PROPOSED.items())
    backend.create_task(TaskSpec("uid", "T", ("person",), frames, 9, "ann"))
    return backend


@pytest.mark.parametrize(("stage", "state"), STANDINGS)
def test_start(backend: LocalBackend, stage: Stage, state: State) -> None:
    before = backend.update_job(1, stage=stage, state=state)
    if stage == "annotation":
        job = start(backend, 1)
        assert (job.stage, job.state, job.assignee) == ("annotation", "in progress", "ann")
        assert backend.annotations(1).boxes == PROPOSED
        assert start(backend, 1, "ann") == job, "what has happened is quiet"
        return
    with pytest.raises(ConflictError) as caught:
        start(backend, 1)
    assert caught.value.message == f"job 1 has been submitted (stage {stage}, state {state}): there is nothing to begin"
    assert caught.value.hint == "dataengine review show 1"
    assert backend.job(1) == before


def test_who_begins_a_job_has_it(backend: LocalBackend) -> None:
    with pytest.raises(ConflictError, match="job 1 is ann's, not bob's"):
        start(backend, 1, "bob")
    spec = TaskSpec("free", "U", ("person",), (TaskFrame("a.jpg", "a.jpg", 64, 48),), 9)
    (job,) = backend.jobs(backend.create_task(spec).id)
    assert job.assignee is None
    assert start(backend, job.id, "bob").assignee == "bob"


@pytest.mark.parametrize(("stage", "state"), STANDINGS)
def test_submit(backend: LocalBackend, stage: Stage, state: State) -> None:
    before = backend.update_job(1, stage=stage, state=state)
    if stage == "annotation" or (stage, state) == ("validation", "new"):
        job = submit(backend, 1, CORRECTED)
        assert (job.stage, job.state, job.assignee) == ("validation", "new", "ann")
        assert backend.annotations(1).boxes == CORRECTED
        assert submit(backend, 1, CORRECTED) == job
    else:
        assert submit(backend, 1, PROPOSED) == before, "what it already has is quiet"
        what = "has been accepted" if (stage, state) == ("acceptance", "completed") else "is being reviewed"
        with pytest.raises(ConflictError) as caught:
            submit(backend, 1, CORRECTED)
        assert caught.value.message == f"job 1 {what} (stage {stage}, state {state}): other boxes cannot be submitted"
        assert caught.value.hint == "to open it again: dataengine review reject 1 --reason '...'"
        assert backend.annotations(1).boxes == PROPOSED
        assert backend.job(1) == before


def test_equal_boxes_are_equal_in_any_order_and_as_servers_round_them(backend: LocalBackend) -> None:
    job = submit(backend, 1, CORRECTED)
    again = {"b.jpg": [Box("person", (0.001, -0.0, 1, 1), attributes={"occluded": False})], "a.jpg": CORRECTED["a.jpg"]}
    assert submit(backend, 1, again) == job
    assert submit(backend, 1, {"a.jpg": CORRECTED["a.jpg"]}).updated_at > job.updated_at


def test_submit_of_damaged_boxes_changes_nothing(backend: LocalBackend) -> None:
    before = backend.job(1)
    with pytest.raises(DamagedInputError, match=r"job 1 has no frame 'x\.jpg'"):
        submit(backend, 1, {"x.jpg": ()})
    assert backend.job(1) == before
    assert backend.annotations(1).boxes == PROPOSED


@pytest.mark.parametrize(("stage", "state"), STANDINGS)
def test_accept(backend: LocalBackend, stage: Stage, state: State) -> None:
    before = backend.update_job(1, stage=stage, state=state)
    if stage == "annotation":
        with pytest.raises(ConflictError) as caught:
            accept(backend, 1)
        assert caught.value.message == f"job 1 has not been submitted (stage annotation, state {state})"
        assert caught.value.hint == "dataengine review submit 1"
        assert backend.job(1) == before
        return
    job = accept(backend, 1)
    assert job.accepted
    assert accept(backend, 1) == job
    assert (job == before) == before.accepted
    assert backend.annotations(1).boxes == PROPOSED


@pytest.mark.parametrize(("stage", "state"), STANDINGS)
def test_reject(backend: LocalBackend, stage: Stage, state: State) -> None:
    before = backend.update_job(1, stage=stage, state=state)
    if stage == "annotation":
        with pytest.raises(ConflictError) as caught:
            reject(backend, 1, "too wide")
        if state == "rejected":
            assert caught.value.message == "job 1 is already back with its annotator"
            assert caught.value.hint == "dataengine review show 1"
        else:
            assert caught.value.message == f"job 1 has not been submitted (stage annotation, state {state})"
        assert backend.job(1) == before
        assert backend.issues(1) == []
        return
    job, issue = reject(backend, 1, " too wide ", "rev", "a.jpg", (1.0, 2.0, 3.0, 4.0))
    assert (job.stage, job.state, job.assignee) == ("annotation", "rejected", "ann")
    assert (issue.message, issue.author, issue.frame_name, issue.xywh) == ("too wide", "rev", "a.jpg", (1, 2, 3, 4))
    assert reject(backend, 1, "too wide", "rev", "a.jpg", (1.0, 2.0, 3.0, 4.0)) == (job, issue)
    assert backend.issues(1) == [issue]


def test_reason_of_an_earlier_round_counts_again(backend: LocalBackend) -> None:
    for round_number in (1, 2, 3):
        submit(backend, 1, CORRECTED)
        job, _ = reject(backend, 1, "too wide")
        assert job.state == "rejected"
        assert [issue.id for issue in backend.issues(1)] == list(range(1, round_number + 1))


def test_issue_of_a_killed_rejection_is_not_repeated(backend: LocalBackend) -> None:
    submit(backend, 1, CORRECTED)
    issue = backend.add_issue(1, "too wide", author="rev")
    assert reject(backend, 1, "too wide", "rev")[1] == issue
    assert backend.issues(1) == [issue]


def test_rejections_that_say_too_little(backend: LocalBackend) -> None:
    before = submit(backend, 1, CORRECTED)
    with pytest.raises(UsageError, match=r"^job 1 cannot be rejected without a reason"):
        reject(backend, 1, "  ")
    with pytest.raises(UsageError, match=r"^job 1 has no frame 'x\.jpg'"):
        reject(backend, 1, "bad", frame_name="x.jpg")
    with pytest.raises(UsageError, match=r"^a part of a picture needs the name of its frame$"):
        reject(backend, 1, "bad", xywh=(1, 2, 3, 4))
    assert backend.job(1) == before
    assert backend.issues(1) == []


class Late:
    """A client that is slow: right after it has read the job, somebody else does something."""

    def __init__(self, backend: LocalBackend, meanwhile: Callable[[LocalBackend], object]) -> None:
        self._backend = backend
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def job(self, job_id: int) -> Job:
        seen = self._backend.job(job_id)
        self._meanwhile(self._backend)
        return seen


SLIPPED = {"a.jpg": (Box("person", (7, 7, 9, 9)),), "b.jpg": ()}


@pytest.mark.required
@pytest.mark.parametrize(
    ("action", "meanwhile"),
    [
        pytest.param(accept, lambda b: submit(b, 1, SLIPPED), id="accept what was submitted anew"),
        pytest.param(lambda b, n: reject(b, n, "bad"), lambda b: submit(b, 1, SLIPPED), id="reject it"),
        pytest.param(lambda b, n: submit(b, n, SLIPPED), lambda b: accept(b, 1), id="submit what was accepted"),
        pytest.param(lambda b, n: submit(b, n, SLIPPED), lambda b: reject(b, 1, "bad"), id="submit what was rejected"),
        pytest.param(accept, lambda b: reject(b, 1, "bad"), id="accept what was rejected"),
    ],
)
def test_nobody_decides_over_what_he_did_not_see(
    backend: LocalBackend, action: Callable[[Any, int], object], meanwhile: Callable[[LocalBackend], object]
) -> None:
    submit(backend, 1, CORRECTED)
    with pytest.raises(ConflictError, match=r"^job 1 was changed by somebody else just now") as caught:
        action(Late(backend, meanwhile), 1)
    assert caught.value.hint == "look again: dataengine review show 1"
    job, boxes = backend.job(1), backend.annotations(1).boxes
    assert (job.stage, boxes) in [
        ("validation", SLIPPED),
        ("acceptance", CORRECTED),
        ("annotation", CORRECTED),
    ], "what the other did stands"


def test_next_step(backend: LocalBackend) -> None:
    def step(stage: Stage, state: State) -> str:
        return next_step(backend, Job(3, 1, stage, state, None, (), ""))

    assert step("annotation", "new") == "correct the boxes, then: dataengine review submit 3"
    assert step("annotation", "rejected") == (
        "read why: dataengine review show 3; correct the boxes, then: dataengine review submit 3"
    )
    assert step("validation", "new") == "dataengine review accept 3, or: dataengine review reject 3 --reason '...'"
    assert step("acceptance", "new") == "dataengine review accept 3"
    assert step("acceptance", "completed") == "dataengine export"
