"""What every annotation backend must do."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from data_engine import registry
from data_engine.annotation.local import LocalBackend
from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, MissingInputError, UsageError
from data_engine.lineage import migrate
from data_engine.lineage.database import Database
from data_engine.lineage.ledger import TaskLedger
from data_engine.ports import AnnotationBackend, Storage
from data_engine.stages import review, upload
from data_engine.stages.sync import content_of
from data_engine.storage.local import LocalStorage
from data_engine.types import Box, ClassRegistry, Frame, TaskFrame, TaskSpec, content_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LABELS = ("person", "helmet", "no helmet é")
NAN = float("nan")


@dataclass
class Server:
    """A running backend, empty at first."""

    storage: Storage
    connect: Callable[[], AnnotationBackend]
    """A new client of it."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What the backend calls people who are given by their e-mail."""
    delete: Callable[[int, list[int]], None] | None = None
    """Has a job's frames, by their numbers in the task, deleted, and all others of it brought back; None where nobody
    can."""

    def spec(self, name: str, frames: int, *, job_size: int = 3, assignee: str | None = None) -> TaskSpec:
        """A task with proposals on its first two frames."""
        pictures = []
        for number in range(frames):
            key = f"frames/{name} ü_{number:06d}.jpg"
            self.storage.write_bytes(key, PICTURE)
            pictures.append(TaskFrame(key.removeprefix("frames/"), key, 16, 16))
        pictures[0] = replace(
            pictures[0], boxes=(Box("person", (1.25, 2, 3, 4), 0.75, "p1"), Box("helmet", (0, 0, 1, 1)))
        )
        if frames > 1:
            pictures[1] = replace(pictures[1], boxes=(Box(LABELS[2], (4, 4, 8, 8), 0.5, "p2"),))
        return TaskSpec(content_id("task", name), name, LABELS, tuple(pictures), job_size, assignee)


def picture() -> bytes:
    import cv2
    import numpy as np

    return bytes(cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1])


PICTURE = picture()


@dataclass(frozen=True)
class Account:
    """Who may do everything on a CVAT server."""

    url: str
    username: str
    password: str


@pytest.fixture(scope="module")
def cvat() -> Iterator[Account]:
    """The tests' own server with the people that the tests name."""
    pytest.importorskip("cvat_sdk")
    from cvat_server import ADMIN, CvatServer

    with CvatServer(seed=1) as server:
        for name in ("annie", "bobby", "evelyn"):
            server.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield Account(server.url, *ADMIN)


@pytest.fixture(scope="module")
def real_cvat() -> Account:
    """A real server that was named."""
    url = os.environ.get("DATAENGINE_TEST_CVAT_URL", "")
    if not url:
        pytest.skip("no real CVAT server was named (DATAENGINE_TEST_CVAT_URL)")
    account = (os.environ[f"DATAENGINE_TEST_CVAT_{name}"] for name in ("USERNAME", "PASSWORD"))
    return Account(url, *account)


@pytest.fixture(scope="module")
def empty_lineage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("lineage") / "lineage.db"
    database = Database(f"sqlite:///{path}")
    migrate.ensure(database)
    database.close()
    return path


REAL = ["real cvat"] if os.environ.get("DATAENGINE_TEST_CVAT_URL") else []
"""Where a real server is named."""


@pytest.fixture(params=["local", pytest.param("cvat", marks=pytest.mark.required), *REAL])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    storage = LocalStorage(tmp_path / "work space é")
    if request.param == "local":
        yield Server(storage, lambda: LocalBackend(storage, clock=lambda: datetime.now(UTC)))
        return
    account = request.getfixturevalue(request.param.replace("real ", "real_"))
    lineage = shutil.copy(request.getfixturevalue("empty_lineage"), tmp_path / "lineage.db")
    database = Database(f"sqlite:///{lineage}")
    project = f"contract é {uuid.uuid4().hex[:8]}"

    def connect() -> AnnotationBackend:
        return registry.load("annotation", "cvat")(
            account.url,
            storage=storage,
            ledger=lambda name: TaskLedger(database, name, now=lambda: datetime.now(UTC).isoformat()),
            project=project,
            username=account.username,
            password=account.password,
            patience_s=60.0,
        )

    if request.param == "real cvat":
        for name in ("annie", "bobby", "evelyn"):
            with contextlib.suppress(ConflictError):
                connect().add_person(name, f"{name}@example.com", f"Contract-{uuid.uuid4().hex}")
    people = {f"{name}@example.com": name for name in ("annie", "bobby", "evelyn")}
    yield Server(storage, connect, people, partial(delete_frames, account))
    if request.param == "real cvat":
        remove_project(account, project)
    database.close()


def delete_frames(account: Account, job_id: int, numbers: list[int]) -> None:
    from cvat_sdk import make_client

    with make_client(account.url, credentials=(account.username, account.password)) as client:
        client.jobs.retrieve(job_id).remove_frames_by_ids(numbers)


def remove_project(account: Account, name: str) -> None:
    from cvat_sdk import make_client

    with make_client(account.url, credentials=(account.username, account.password)) as client:
        for found in client.projects.list(name=name):
            found.remove()


@pytest.fixture
def backend(server: Server) -> AnnotationBackend:
    return server.connect()


def comparable(boxes: dict[str, tuple[Box, ...]]) -> dict[str, list[tuple[object, ...]]]:
    """What every backend keeps of a box, in an order of its own."""
    return {
        name: sorted((b.label, *(round(v, 2) for v in b.xywh), b.score, b.proposal_id or "", b.iscrowd) for b in rows)
        for name, rows in boxes.items()
    }


# --- tasks ------------------------------------------------------------------------------------------------------------


@pytest.mark.required
def test_task_is_split_into_jobs_in_the_order_of_its_frames(server: Server, backend: AnnotationBackend) -> None:
    assert isinstance(backend, AnnotationBackend)
    assert backend.tasks() == []
    assert backend.jobs() == []
    spec = server.spec("Batch 01", 7, assignee="annie@example.com")
    # Not sorted by name: the order is that of the ranking.
    spec = replace(spec, frames=spec.frames[::-1])
    task = backend.create_task(spec)
    assert (task.name, task.size) == ("Batch 01", 7)
    assert backend.tasks() == [task]
    jobs = backend.jobs(task.id)
    assert jobs == backend.jobs()
    assert [len(job.frame_names) for job in jobs] == [3, 3, 1]
    assert [name for job in jobs for name in job.frame_names] == [frame.name for frame in spec.frames]
    assert [job.id for job in jobs] == sorted({job.id for job in jobs})
    for job in jobs:
        assert (job.task_id, job.stage, job.state) == (task.id, "annotation", "new")
        assert job.assignee == server.names.get("annie@example.com", "annie@example.com")
        assert not job.accepted
        assert datetime.fromisoformat(job.updated_at).tzinfo is not None
        assert backend.job(job.id) == job
        assert backend.link_of(job.id)


@pytest.mark.required
def test_proposals_are_the_first_boxes(server: Server, backend: AnnotationBackend) -> None:
    spec = server.spec("Batch 01", 4)
    task = backend.create_task(spec)
    found = {name: rows for job in backend.jobs(task.id) for name, rows in backend.annotations(job.id).boxes.items()}
    assert comparable(found) == comparable({frame.name: frame.boxes for frame in spec.frames})


@pytest.mark.required
def test_same_uid_is_the_same_task(server: Server, backend: AnnotationBackend) -> None:
    first = backend.create_task(server.spec("Batch 01", 4))
    job = backend.jobs(first.id)[0]
    backend.update_job(job.id, state="in progress", assignee="annie")
    before = backend.jobs()
    assert server.connect().create_task(server.spec("Batch 01", 4, assignee="somebody else")) == first
    assert backend.create_task(server.spec("Batch 01", 4)) == first
    assert backend.tasks() == [first]
    assert backend.jobs() == before


def test_equal_names_are_two_tasks(server: Server, backend: AnnotationBackend) -> None:
    spec = server.spec("Batch 01", 2)
    tasks = [backend.create_task(spec), backend.create_task(replace(spec, uid=content_id("another")))]
    assert tasks[0].id < tasks[1].id
    assert [task.name for task in backend.tasks()] == ["Batch 01", "Batch 01"]
    assert [job.task_id for job in backend.jobs()] == [task.id for task in tasks]


def test_another_client_sees_the_same(server: Server, backend: AnnotationBackend) -> None:
    other = server.connect()
    assert other.tasks() == []
    task = backend.create_task(server.spec("Batch 01", 4))
    job = backend.jobs(task.id)[1]
    backend.update_job(job.id, stage="validation", state="in progress")
    assert other.tasks() == backend.tasks()
    assert other.jobs() == backend.jobs()


def test_failed_creation_leaves_nothing(server: Server, backend: AnnotationBackend) -> None:
    spec = server.spec("Batch 01", 4)
    server.storage.delete(spec.frames[3].key)
    with pytest.raises(MissingInputError, match=r"frames/Batch 01 ü_000003\.jpg is not there"):
        backend.create_task(spec)
    assert backend.tasks() == []
    assert backend.create_task(server.spec("Batch 01", 4)).size == 4


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"frames": ()}, UsageError, "task 'T' has no frames"),
        ({"labels": ()}, UsageError, "task 'T' has no labels"),
        ({"job_size": 0}, UsageError, "a job has at least 1 frame, not 0"),
        (
            {"frames": 2 * (TaskFrame("a.jpg", "a.jpg", 1, 1),)},
            DamagedInputError,
            "two frames of task 'T' are named 'a.jpg'",
        ),
        (
            {"frames": (TaskFrame("../a.jpg", "a.jpg", 1, 1),)},
            DamagedInputError,
            "frame name '../a.jpg' is not a plain file name",
        ),
        (
            {"frames": (TaskFrame("a.jpg", "a.jpg", 1, 1, (Box("cat", (0, 0, 1, 1)),)),)},
            DamagedInputError,
            "task 'T' has no label 'cat' (on a.jpg): its labels are person, helmet",
        ),
        (
            {"frames": (TaskFrame("a.jpg", "a.jpg", 1, 1, (Box("person", (0, NAN, 1, 1)),)),)},
            DamagedInputError,
            "a box of 'person' on a.jpg holds a number that is not finite",
        ),
    ],
)
def test_impossible_tasks_are_refused(
    backend: AnnotationBackend, change: dict[str, object], error: type[DataEngineError], message: str
) -> None:
    spec = TaskSpec("uid", "T", ("person", "helmet"), (TaskFrame("a.jpg", "a.jpg", 1, 1),), 3)
    with pytest.raises(error) as caught:
        backend.create_task(replace(spec, **change))  # type: ignore[arg-type]
    assert caught.value.message == message
    assert backend.tasks() == []


def test_unknown_numbers(backend: AnnotationBackend) -> None:
    calls: list[Callable[[], object]] = [
        lambda: backend.job(99),
        lambda: backend.update_job(99, state="new"),
        lambda: backend.annotations(99),
        lambda: backend.put_annotations(99, {}),
        lambda: backend.issues(99),
        lambda: backend.add_issue(99, "x"),
        lambda: backend.link_of(99),
    ]
    for call in calls:
        with pytest.raises(MissingInputError, match=r"^there is no job 99 "):
            call()
    with pytest.raises(MissingInputError, match=r"^there is no task 99 "):
        backend.jobs(99)


# --- jobs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def job_id(server: Server, backend: AnnotationBackend) -> int:
    return backend.jobs(backend.create_task(server.spec("Batch 01", 4)).id)[0].id


def test_new_stage_resets_the_state(backend: AnnotationBackend, job_id: int) -> None:
    assert backend.update_job(job_id, state="completed").state == "completed"
    job = backend.update_job(job_id, stage="validation")
    assert (job.stage, job.state) == ("validation", "new")
    job = backend.update_job(job_id, stage="acceptance", state="completed")
    assert job.accepted
    job = backend.update_job(job_id, stage="annotation", state="rejected", assignee="bobby")
    assert (job.stage, job.state, job.assignee) == ("annotation", "rejected", "bobby")
    assert backend.job(job_id) == job


def test_date_moves_with_every_change_and_only_then(backend: AnnotationBackend, job_id: int) -> None:
    dates = [backend.job(job_id).updated_at]
    dates.append(backend.update_job(job_id, state="in progress").updated_at)
    dates.append(backend.update_job(job_id, assignee="annie").updated_at)
    dates.append(backend.update_job(job_id, stage="validation").updated_at)
    dates.append(backend.put_annotations(job_id, {}).updated_at)
    moments = [datetime.fromisoformat(date) for date in dates]
    assert moments == sorted(set(moments))
    backend.annotations(job_id)
    backend.jobs()
    assert backend.job(job_id).updated_at == dates[-1]


def test_no_such_stage_or_state(backend: AnnotationBackend, job_id: int) -> None:
    before = backend.job(job_id)
    with pytest.raises(UsageError, match="there is no state 'done'"):
        backend.update_job(job_id, state="done")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no stage 'review'"):
        backend.update_job(job_id, stage="review")  # type: ignore[arg-type]
    assert backend.job(job_id) == before


def test_a_change_by_an_old_look_is_refused(backend: AnnotationBackend, job_id: int) -> None:
    seen = backend.job(job_id).updated_at
    boxes = {backend.job(job_id).frame_names[0]: (Box("person", (1, 2, 3, 4)),)}
    job = backend.put_annotations(job_id, boxes, stage="validation", state="in progress", expected=seen)
    assert (job.stage, job.state) == ("validation", "in progress")
    assert backend.job(job_id) == job
    before = backend.annotations(job_id).boxes
    with pytest.raises(ConflictError, match=f"^job {job_id} was changed by somebody else"):
        backend.put_annotations(job_id, {}, stage="acceptance", state="completed", expected=seen)
    with pytest.raises(ConflictError, match=f"^job {job_id} was changed by somebody else"):
        backend.update_job(job_id, stage="acceptance", state="completed", expected=seen)
    assert backend.job(job_id) == job
    assert backend.annotations(job_id).boxes == before
    assert backend.update_job(job_id, state="new", expected=job.updated_at).state == "new"


# --- boxes ------------------------------------------------------------------------------------------------------------


@pytest.mark.required
def test_put_replaces_the_boxes_of_one_job(backend: AnnotationBackend, job_id: int) -> None:
    others = {job.id: backend.annotations(job.id).boxes for job in backend.jobs() if job.id != job_id}
    names = backend.job(job_id).frame_names
    boxes = {
        names[0]: (Box("person", (1.5, 2.25, 3.0, 4.75), 0.75, "p1"), Box("person", (8, 8, 2, 2), iscrowd=False)),
        names[2]: [Box("helmet", (0, 0, 16, 16))],
    }
    backend.put_annotations(job_id, boxes)
    found = backend.annotations(job_id).boxes
    assert tuple(found) == names, "every frame is a key"
    assert comparable(found) == comparable({names[0]: boxes[names[0]], names[1]: (), names[2]: tuple(boxes[names[2]])})
    assert {number: backend.annotations(number).boxes for number in others} == others
    backend.put_annotations(job_id, {})
    assert backend.annotations(job_id).boxes == dict.fromkeys(names, ())


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box("cat", (0, 0, 1, 1)), "no label 'cat'"),
        (Box("person", (NAN, 0, 1, 1)), "holds a number that is not finite"),
        (Box("person", (0, 0, float("inf"), 1)), "holds a number that is not finite"),
        (Box("person", (0, 0, -4, 1)), "has -4 x 1 pixels"),
        (Box("person", (0, 0, 4, 0)), "has 4 x 0 pixels"),
    ],
)
def test_damaged_boxes_change_nothing(backend: AnnotationBackend, job_id: int, box: Box, message: str) -> None:
    job, before = backend.job(job_id), backend.annotations(job_id).boxes
    with pytest.raises(DamagedInputError, match=message):
        backend.put_annotations(
            job_id, {job.frame_names[1]: (), job.frame_names[0]: (Box("person", (0, 0, 1, 1)), box)}
        )
    assert backend.annotations(job_id).boxes == before
    assert backend.job(job_id) == job


def test_frames_of_other_jobs_are_refused(backend: AnnotationBackend, job_id: int) -> None:
    other = backend.jobs()[1]
    with pytest.raises(DamagedInputError, match=f"job {job_id} has no frame '{other.frame_names[0]}'"):
        backend.put_annotations(job_id, {other.frame_names[0]: ()})


# --- issues -----------------------------------------------------------------------------------------------------------


def test_deleted_frames(server: Server, backend: AnnotationBackend) -> None:
    task = backend.create_task(server.spec("deleted", 4, job_size=2))
    other = backend.create_task(server.spec("whole", 1))
    first, second = backend.jobs(task.id)
    known = {
        number: told.at for number, told in backend.deleted_frames({task.id: "", other.id: "", 999_999: ""}).items()
    }
    assert backend.deleted_frames(known) == {}
    if server.delete is None:
        assert known == {}
        return
    before = backend.annotations(first.id)
    server.delete(first.id, [0])
    server.delete(second.id, [3])
    # Nothing that a look at the jobs could notice has changed.
    assert [backend.job(job.id) for job in (first, second)] == [first, second]
    gone, also = first.frame_names[0], second.frame_names[1]
    told = backend.deleted_frames(known)
    assert {number: found.names for number, found in told.items()} == {task.id: {gone, also}}
    content = backend.annotations(first.id)
    assert (content.deleted, list(content.boxes)) == ({gone}, [first.frame_names[1]])
    assert comparable(content.hidden) == comparable({gone: before.boxes[gone]})
    assert content_of(content) == content_of(before)
    assert content_of(content) != content_of(replace(content, hidden={}))
    server.delete(first.id, [])
    assert backend.deleted_frames({task.id: told[task.id].at})[task.id].names == {also}
    assert comparable(backend.annotations(first.id).boxes) == comparable(before.boxes)
    assert backend.annotations(first.id).hidden == {}


def test_boxes_are_corrected_in_a_file_or_at_an_address(backend: AnnotationBackend, job_id: int) -> None:
    assert backend.edits_files is ("://" not in backend.link_of(job_id))
    backend.jobs()
    assert backend.link_of(job_id) == backend.link_of(job_id)
    with pytest.raises(MissingInputError):
        backend.link_of(999_999)


def test_issues(backend: AnnotationBackend, job_id: int) -> None:
    assert backend.issues(job_id) == []
    name = backend.job(job_id).frame_names[1]
    other = backend.jobs()[1].id
    made = [
        backend.add_issue(job_id, "the helmet is missing", author="rev", frame_name=name, xywh=(1.0, 2.0, 3.0, 4.0)),
        backend.add_issue(other, "elsewhere"),
        backend.add_issue(job_id, "and 'é'"),
    ]
    assert len({issue.id for issue in made}) == 3
    assert backend.issues(job_id) == [made[0], made[2]]
    assert (made[0].job_id, made[0].message, made[0].author) == (job_id, "the helmet is missing", "rev")
    assert (made[0].frame_name, made[0].xywh, made[0].resolved) == (name, (1.0, 2.0, 3.0, 4.0), False)
    assert datetime.fromisoformat(made[0].created_at).tzinfo is not None


def test_an_issue_of_a_job_that_changed_is_not_made(backend: AnnotationBackend, job_id: int) -> None:
    seen = backend.job(job_id).updated_at
    backend.add_issue(job_id, "still so", expected=seen)
    backend.update_job(job_id, state="completed")
    with pytest.raises(ConflictError, match=f"^job {job_id} was changed by somebody else"):
        backend.add_issue(job_id, "too late", expected=seen)
    assert [issue.message for issue in backend.issues(job_id)] == ["still so"]


def test_whose_account_it_is(backend: AnnotationBackend) -> None:
    names = {person.name for person in backend.people()}
    assert (backend.me() in names) is bool(names)


# --- the whole way ----------------------------------------------------------------------------------------------------


class Told:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        self.calls.append((label, total, unit))

    def advance(self, amount: int = 1) -> None:
        self.calls.append((amount,))

    def note(self, text: str) -> None: ...

    def finish(self) -> None:
        self.calls.append(())


@pytest.mark.required
def test_upload_and_review_twice_over(server: Server) -> None:
    """Every step is taken twice, by a new client each time, and the second changes nothing."""
    frames = [
        Frame(content_id("frame", number), task_frame.name, task_frame.key, 16, 16, "cam")
        for number, task_frame in enumerate(server.spec("x", 10).frames)
    ]
    proposals = {frames[0].name: (Box("person", (1, 2, 3, 4), 0.5, "p"),)}
    settings = upload.UploadSettings(job_size=2, task_size=5, assignee=("annie", "bobby"))
    specs = list(upload.plan_tasks("Batch", frames, proposals, ClassRegistry.of(LABELS), settings))
    # Three jobs a task: the rotation goes on in the next.
    planned = list(zip(specs, [("annie", "bobby"), ("bobby", "annie")], strict=True))

    told = Told()
    tasks = list(upload.upload(planned, server.connect(), told, frames=10))
    assert told.calls == [("upload", 10, "frames"), (5,), (5,), ()]
    backend = server.connect()
    assert backend.tasks() == tasks
    assert [task.name for task in tasks] == ["Batch (1/2)", "Batch (2/2)"]
    assert [job.assignee for job in backend.jobs()] == ["annie", "bobby", "annie", "bobby", "annie", "bobby"]
    job_id = backend.jobs()[0].id
    backend.update_job(job_id, assignee="evelyn")
    after = backend.jobs()
    assert list(upload.upload(planned, server.connect(), Told(), frames=10)) == tasks
    assert backend.jobs() == after, "who was assigned by hand stays"

    boxes = {frames[0].name: (Box("person", (1, 2, 4, 4), 0.5, "p"),), frames[1].name: (Box("helmet", (0, 0, 5, 5)),)}
    for _ in range(2):
        job = review.submit(server.connect(), job_id, boxes)
        assert (job.stage, job.state, job.assignee) == ("validation", "new", "evelyn")
        after = after if after[0].stage == "validation" else backend.jobs()
        assert backend.jobs() == after
    rejected = [review.reject(server.connect(), job_id, "too wide", "rev", frames[0].name) for _ in range(2)]
    assert rejected[0] == rejected[1]
    assert (rejected[0][0].stage, rejected[0][0].state, rejected[0][0].assignee) == ("annotation", "rejected", "evelyn")
    assert backend.issues(job_id) == [rejected[0][1]]
    assert comparable(backend.annotations(job_id).boxes) == comparable(boxes), "the annotator goes on from what he did"

    review.submit(server.connect(), job_id, boxes)
    accepted = [review.accept(server.connect(), job_id) for _ in range(2)]
    assert accepted[0] == accepted[1]
    assert accepted[0].accepted
    assert review.submit(server.connect(), job_id, boxes) == accepted[0]
    assert [job.accepted for job in backend.jobs()] == [True] + 5 * [False]
