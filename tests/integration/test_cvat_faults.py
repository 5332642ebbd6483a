"""Making and reading tasks on a CVAT server that fails: nothing missing, nothing twice."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from data_engine import registry
from data_engine.errors import DamagedInputError, DataEngineError, MissingInputError, ServiceError, UsageError
from data_engine.lineage.database import Database
from data_engine.lineage.ledger import TaskLedger
from data_engine.lineage.migrate import ensure
from data_engine.storage.local import LocalStorage
from data_engine.types import Box, TaskFrame, TaskSpec, content_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from data_engine.annotation.cvat.backend import CvatBackend

pytest.importorskip("cvat_sdk")
from cvat_server import ADMIN, CvatServer

pytestmark = pytest.mark.required

FRAMES, BOXES = 6, 9
AFTER = [pytest.param(False, id="before"), pytest.param(True, id="after")]
KINDS = ("429", "500", "502", "504", "reset")
STEPS = {
    "login": ("POST", "/api/auth/login"),
    "project": ("POST", "/api/projects$"),
    "labels": ("PATCH", "/api/projects/"),
    "task": ("POST", "/api/tasks$"),
    "data": ("POST", "/data/"),
    "poll": ("GET", "/api/requests/"),
    "names": ("GET", "/data/meta"),
    "boxes": ("PUT", "/annotations"),
}


@dataclass
class Place:
    """A workspace beside a server."""

    server: CvatServer
    storage: LocalStorage
    database: Database
    notes: list[str]

    def connect(self, **given: Any) -> CvatBackend:
        options: dict[str, Any] = {
            "url": self.server.url,
            "storage": self.storage,
            "ledger": lambda name: TaskLedger(self.database, name, now=lambda: "2026-01-01T00:00:00+00:00"),
            "project": "faults",
            "username": ADMIN[0],
            "password": ADMIN[1],
            "patience_s": 5.0,
            "timeout_s": 5.0,
            "progress": self,
            "sleep": lambda seconds: threading.Event().wait(min(seconds, 0.02)),
        }
        return registry.load("annotation", "cvat")(**{**options, **given})

    def note(self, text: str) -> None:
        self.notes.append(text)

    def spec(self, name: str = "Batch", frames: int = FRAMES) -> TaskSpec:
        pictures = []
        for number in range(frames):
            key = f"frames/{name}_{number}.jpg"
            self.storage.write_bytes(key, PICTURE)
            boxes = tuple(
                Box("person", (1.0 + position, 2.0, 3.0, 4.0), 0.5, content_id(name, number, position))
                for position in range(1 + number % 2)
            )
            pictures.append(TaskFrame(f"{name}_{number}.jpg", key, 16, 16, boxes))
        return TaskSpec(content_id("task", name), name, ("person", "helmet"), tuple(pictures), 4)

    def on_server(self) -> list[dict[str, Any]]:
        """Tasks that are there, whoever knows of them."""
        from cvat_server.snapshot import told

        with self.server.state.lock:
            return list(told(self.server.state)["tasks"])

    def check(self, backend: CvatBackend, specs: list[TaskSpec]) -> None:
        """The server holds these tasks, whole, once each, and nothing else."""
        self.server.faults.reset(0)
        assert len(self.on_server()) == len(specs)
        found = {}
        for task in backend.tasks():
            content: dict[str, tuple[Box, ...]] = {}
            for job in backend.jobs(task.id):
                content.update(backend.annotations(job.id).boxes)
            found[task.uid] = content
        assert found == {spec.uid: {frame.name: frame.boxes for frame in spec.frames} for spec in specs}


def picture() -> bytes:
    import cv2
    import numpy as np

    return bytes(cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1])


PICTURE = picture()


@pytest.fixture(scope="module")
def empty_lineage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lineage") / "lineage.db"
    database = Database(f"sqlite:///{path}")
    ensure(database)
    database.close()
    return path


@pytest.fixture
def place(tmp_path: Path, empty_lineage: Path) -> Iterator[Place]:
    database = Database(f"sqlite:///{shutil.copy(empty_lineage, tmp_path / 'lineage.db')}")
    with CvatServer(seed=1) as server:
        yield Place(server, LocalStorage(tmp_path / "ws"), database, [])
    database.close()


# --- each fault at each step ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "after"), [("429", False), *((kind, after) for kind in KINDS[1:] for after in (False, True))]
)
def test_each_request_of_a_creation_may_fail(place: Place, kind: str, after: bool) -> None:
    for method, path in STEPS.values():
        place.server.faults.add(kind, after=after, method=method, path=path, next=1, seconds=0.01)
    backend = place.connect()
    spec = place.spec()
    task = backend.create_task(spec)
    assert sum(place.server.faults.struck.values()) >= len(STEPS), place.server.faults.struck
    assert backend.create_task(spec) == task
    place.check(backend, [spec])


@pytest.mark.parametrize("after", AFTER)
def test_pictures_that_went_under(place: Place, after: bool) -> None:
    """Each of the requests that carry pictures fails twice, so that what arrived is unknown."""
    place.server.faults.add("500", after=after, method="POST", path="/data/", skip=1, next=2)
    backend = place.connect()
    spec = place.spec()
    backend.create_task(spec)
    place.check(backend, [spec])


def test_a_worker_that_never_comes_is_not_waited_for_forever(place: Place) -> None:
    place.server.faults.add("stuck", method="POST", path="/data/")
    backend = place.connect(patience_s=1.0)
    with pytest.raises(ServiceError, match=r"no worker of the CVAT server .* picked up making the task 'Batch'"):
        backend.create_task(place.spec())
    place.server.faults.reset(0)
    place.check(backend, [])
    backend.create_task(place.spec())
    place.check(backend, [place.spec()])


def test_a_lost_request_to_the_worker_is_made_again(place: Place) -> None:
    place.server.faults.add("stuck", method="POST", path="/data/", skip=2, next=1)
    place.server.faults.add("expired", method="GET", path="/api/requests/", next=1)
    backend = place.connect(patience_s=2.0)
    spec = place.spec()
    backend.create_task(spec)
    place.check(backend, [spec])


@pytest.mark.parametrize("seed", range(2))
def test_one_in_twenty(place: Place, seed: int) -> None:
    place.server.faults.reset(seed)
    place.server.faults.mix(0.05, seconds=0.01)
    specs = [place.spec(f"Batch{number}") for number in range(12)]
    backend = place.connect(patience_s=2.0)
    for spec in specs:
        create(place, backend, spec)
    assert place.server.faults.struck
    place.check(backend, specs)


def create(place: Place, backend: CvatBackend, spec: TaskSpec) -> None:
    """As often as a person would type the command."""
    for _ in range(20):
        try:
            backend.create_task(spec)
            return
        except ServiceError as error:
            place.note(str(error))
    raise AssertionError(place.notes)


# --- killed -----------------------------------------------------------------------------------------------------------


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def cut_off(backend: CvatBackend, at: int, *, after: bool) -> None:
    """Let the process end at its n-th request, before or after the server has it."""
    connection = backend._connection
    real, count = connection.once, 0

    def once(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == at and not after:
            raise KilledError
        answer = real(*args, **kwargs)
        if count == at:
            raise KilledError
        return answer

    connection.once = once  # type: ignore[method-assign]


@pytest.mark.parametrize("after", AFTER)
def test_killed_at_each_request(place: Place, after: bool) -> None:
    specs = []
    for at in range(1, 40):
        spec = place.spec(f"Batch{at}")
        backend = place.connect()
        cut_off(backend, at, after=after)
        try:
            backend.create_task(spec)
        except KilledError:
            place.connect().create_task(spec)
            specs.append(spec)
            continue
        specs.append(spec)
        break
    else:
        raise AssertionError("the creation has no end")
    assert len(specs) > 8
    place.check(place.connect(), specs)


def test_work_that_began_meanwhile_stays(place: Place) -> None:
    """Killed between the pictures and the proposals, while somebody draws in the first job."""
    spec = place.spec()
    backend = place.connect()
    real = backend._connection.request

    def request(method: str, path: str, **given: Any) -> Any:
        if method == "PUT":
            raise KilledError
        return real(method, path, **given)

    backend._connection.request = request  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        backend.create_task(spec)
    (task,) = place.on_server()
    other = place.connect()
    (first, _second) = other._connection.pages("/api/jobs", task_id=task["id"])
    label = other._project.labels()["helmet"].id
    shape = {"type": "rectangle", "frame": 0, "label_id": label, "points": [1, 1, 5, 5], "attributes": []}
    other._connection.request("PUT", f"/api/jobs/{first['id']}/annotations", json={"shapes": [shape]})
    made = other.create_task(spec)
    jobs = other.jobs(made.id)
    drawn = other.annotations(jobs[0].id).boxes[spec.frames[0].name]
    assert [(box.label, box.xywh) for box in drawn] == [("helmet", (1.0, 1.0, 4.0, 4.0))]
    assert other.annotations(jobs[1].id).boxes == {frame.name: frame.boxes for frame in spec.frames[4:]}


def test_an_empty_double_is_removed(place: Place) -> None:
    backend = place.connect()
    spec = place.spec()
    place.server.faults.add("504", method="POST", path="/api/tasks$", next=1)
    backend.create_task(spec)
    # The request whose answer was lost has its effect late.
    project = backend._project.number()
    name = f"{spec.name} [{spec.uid[:12]}]"
    backend._connection.request("POST", "/api/tasks", json={"name": name, "project_id": project})
    assert len(place.on_server()) == 2
    second = place.spec("Batch2")
    backend.create_task(second)
    place.check(backend, [spec, second])


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_reading_and_changing_go_on(place: Place, kind: str) -> None:
    backend = place.connect()
    backend.create_task(place.spec())
    job = backend.jobs()[0]
    for after in (False, True) if kind != "429" else (False,):
        place.server.faults.add(kind, after=after, probability=0.2, seconds=0.01)
    boxes = {job.frame_names[0]: (Box("helmet", (1.0, 1.0, 2.0, 2.0)),)}
    job = backend.put_annotations(job.id, boxes, stage="validation", expected=job.updated_at)
    assert (job.stage, job.state) == ("validation", "new")
    for number in range(3):
        backend.add_issue(job.id, f"remark {number}")
    job = backend.update_job(job.id, stage="acceptance", state="completed", expected=job.updated_at)
    assert job.accepted
    assert backend.annotations(job.id).boxes[job.frame_names[0]] == boxes[job.frame_names[0]]
    assert [issue.message for issue in backend.issues(job.id)] == ["remark 0", "remark 1", "remark 2"]
    assert place.server.faults.struck


def test_a_thousand_jobs_in_few_requests(place: Place) -> None:
    backend = place.connect()
    for number in range(2):
        backend.create_task(replace(place.spec(f"Batch{number}", 30), job_size=1))
    reader = place.connect()
    before = len(place.server.requests())
    assert len(reader.jobs()) == 60
    assert len(place.server.requests()) - before <= 8


def test_a_task_that_was_removed(place: Place) -> None:
    backend = place.connect()
    kept, gone = (backend.create_task(place.spec(name)) for name in ("Kept", "Gone"))
    backend._connection.request("DELETE", f"/api/tasks/{gone.id}")
    assert {job.task_id for job in backend.jobs()} == {kept.id}
    assert backend.tasks() == [kept]
    with pytest.raises(MissingInputError, match=f"there is no task {gone.id} any more on the CVAT server"):
        backend.jobs(gone.id)
    again = backend.create_task(place.spec("Gone"))
    assert again.id not in (kept.id, gone.id)
    place.check(backend, [place.spec("Kept"), place.spec("Gone")])


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"password": "wrong"}, UsageError, "does not know .* with this password"),
        ({"username": None, "token": "wrong"}, UsageError, r"does not accept the access token \(wrong, expired"),
        ({"organization": "nowhere"}, UsageError, "has no organization 'nowhere'"),
        ({"project": "77"}, UsageError, "has no project 77"),
    ],
)
def test_who_is_not_let_in(place: Place, given: dict[str, Any], error: type[DataEngineError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        place.connect(**given).create_task(place.spec())
    assert caught.value.hint
    told = repr(caught.value) + str(caught.value) + repr(caught.value.__cause__)
    assert "wrong" not in told.replace("(wrong, expired", "")
    place.check(place.connect(), [])


def test_nobody_there(place: Place) -> None:
    with CvatServer(seed=1) as gone:
        url = gone.url
    backend = place.connect(url=url)
    with pytest.raises(ServiceError, match=r"the CVAT server .* does not answer"):
        backend.create_task(place.spec())


def test_label_of_a_person_stays_and_a_removed_one_comes_back(place: Place) -> None:
    backend = place.connect()
    backend.create_task(place.spec())
    project, labels = backend._project.number(), backend._project.labels()
    change = [{"id": labels["helmet"].id, "deleted": True}, {"name": "vest", "type": "polygon"}]
    backend._connection.request("PATCH", f"/api/projects/{project}", json={"labels": change})
    other = place.connect()
    other.create_task(place.spec("Batch2"))
    assert {name: label.type for name, label in other._project.labels().items()} == {
        "person": "rectangle",
        "helmet": "rectangle",
        "vest": "polygon",
    }


def test_a_picture_that_is_none(place: Place) -> None:
    spec = place.spec()
    place.storage.write_bytes(spec.frames[2].key, b"no picture")
    with pytest.raises(DamagedInputError, match="cannot make task 'Batch'"):
        place.connect().create_task(spec)
    place.check(place.connect(), [])


def test_nothing_is_left_by_a_picture_of_another_size(place: Place) -> None:
    spec = place.spec()
    spec = replace(spec, frames=(*spec.frames[:-1], replace(spec.frames[-1], width=32)))
    with pytest.raises(DamagedInputError, match=r"is 16 x 16 pixels for .* but 32 x 16 here"):
        place.connect().create_task(spec)
    place.check(place.connect(), [])


def test_unknown_assignee_makes_nothing(place: Place) -> None:
    place.server.state.add_user("annabel", "password-of-annabel", email="annabel@example.com")
    backend = place.connect()
    with pytest.raises(UsageError, match=r"nobody on .* is called 'anabel'") as caught:
        backend.create_task(replace(place.spec(), assignee="anabel"))
    assert "annabel" in caught.value.hint
    place.check(backend, [])
    task = backend.create_task(replace(place.spec(), assignee="Annabel@example.com"))
    assert {job.assignee for job in backend.jobs(task.id)} == {"annabel"}


def test_an_ordinary_account_may_not_list_people(place: Place) -> None:
    place.server.state.add_user("ann", "password-of-ann", email="ann@example.com")
    backend = place.connect(username="ann", password="password-of-ann")
    ask: list[Callable[[], object]] = [
        backend.people,
        lambda: backend.create_task(replace(place.spec(), assignee="bob")),
    ]
    for call in ask:
        with pytest.raises(UsageError, match="this account may not list the people"):
            call()
