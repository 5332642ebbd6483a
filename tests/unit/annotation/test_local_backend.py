"""What only the backend of plain files does: its files, its locks, and what it survives."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from data_engine.annotation.local import LocalBackend
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, StorageFullError
from data_engine.stages import review, upload
from data_engine.storage.local import LocalStorage
from data_engine.types import Box, ClassRegistry, Frame, State, TaskFrame, TaskSpec, content_id

if TYPE_CHECKING:
    from collections.abc import Callable

LABELS = ("person", "helmet")
FROZEN = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return prepared(tmp_path / "work space é")


def prepared(root: Path) -> LocalStorage:
    storage = LocalStorage(root)
    for number in range(5):
        storage.write_bytes(f"frames/f{number}.jpg", b"picture %d" % number)
    return storage


def connect(storage: LocalStorage, **options: float) -> LocalBackend:
    return LocalBackend(storage, clock=lambda: datetime.now(UTC), **options)


def spec(name: str = "Batch", frames: range = range(5)) -> TaskSpec:
    pictures = tuple(
        TaskFrame(f"f{n}.jpg", f"frames/f{n}.jpg", 64, 48, (Box("person", (n, 1, 2, 3), 0.5, f"p{n}"),)) for n in frames
    )
    return TaskSpec(content_id(name), name, LABELS, pictures, 2, "ann")


def tree(root: Path) -> dict[str, bytes]:
    """Every file below the folder, hidden ones too, without the times in them."""
    return {
        path.relative_to(root).as_posix(): re.sub(rb"20\d\d-\d\d-\d\dT[\d:.]+\+00:00", b"<time>", path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


# --- files ------------------------------------------------------------------------------------------------------------


def test_files(storage: LocalStorage) -> None:
    backend = connect(storage)
    assert list(storage.list("annotation")) == []
    backend.create_task(spec())
    assert sorted(tree(storage.root / "annotation")) == sorted(
        [
            ".last.json",
            ".lock",
            "tasks/1/task.json",
            *(f"tasks/1/images/f{n}.jpg" for n in range(5)),
            *(
                f"tasks/1/jobs/{job}/{file}"
                for job in (1, 2, 3)
                for file in ("README.txt", "annotations.json", "boxes.json", "job.json")
            ),
        ]
    )
    assert backend.link_of(2) == str(storage.root / "annotation/tasks/1/jobs/2/annotations.json")
    readme = storage.read_bytes("annotation/tasks/1/jobs/2/README.txt").decode()
    assert "dataengine review submit 2\n" in readme
    assert "Labels: person, helmet\n" in readme
    pictures = storage.root / "annotation/tasks/1/jobs/2/../../images"
    assert (pictures / "f3.jpg").samefile(storage.root / "frames/f3.jpg")
    connect(storage).create_task(spec("Next", range(1)))
    assert [job.id for job in backend.jobs()] == [1, 2, 3, 4]
    assert [job.id for job in backend.jobs(2)] == [4]


def test_editing_the_file_changes_nothing_until_it_is_submitted(storage: LocalStorage) -> None:
    backend = connect(storage)
    backend.create_task(spec())
    before = backend.annotations(1).boxes
    assert backend.submission(1) == before
    path = Path(backend.link_of(1))
    file = json.loads(path.read_bytes())
    file["annotations"][0]["bbox"] = [10, 10, 5, 5]
    path.write_text(json.dumps(file))
    assert backend.annotations(1).boxes == before

    text = path.read_bytes()
    review.submit(backend, 1, backend.submission(1))
    assert backend.annotations(1).boxes["f0.jpg"][0].xywh == (10, 10, 5, 5)
    assert path.read_bytes() == text, "a file that says the same already stays as the tool wrote it"
    accepted = review.accept(backend, 1)

    file["annotations"] = []
    path.write_text(json.dumps(file))
    assert len(backend.annotations(1).boxes["f0.jpg"]) == 1
    assert backend.job(1) == accepted
    with pytest.raises(ConflictError, match="job 1 has been accepted"):
        review.submit(backend, 1, backend.submission(1))
    assert len(backend.annotations(1).boxes["f0.jpg"]) == 1


def test_put_brings_the_file_up_to_date(storage: LocalStorage) -> None:
    backend = connect(storage)
    backend.create_task(spec())
    boxes = {"f0.jpg": (), "f1.jpg": (Box("helmet", (1.5, 2.5, 3.0, 4.0), 0.25, "p"),)}
    backend.put_annotations(1, boxes)
    assert backend.submission(1) == boxes
    Path(backend.link_of(1)).write_text("not JSON")
    backend.put_annotations(1, boxes)
    assert backend.submission(1) == boxes
    Path(backend.link_of(1)).unlink()
    with pytest.raises(MissingInputError, match=r"^annotation/tasks/1/jobs/1/annotations\.json is not there"):
        backend.submission(1)
    backend.put_annotations(1, boxes)
    assert backend.submission(1) == boxes


def test_file_from_elsewhere(storage: LocalStorage) -> None:
    backend = connect(storage)
    backend.create_task(spec())
    data = Path(backend.link_of(1)).read_bytes()
    assert backend.parse_submission(1, data, name="mine.json") == backend.annotations(1).boxes
    with pytest.raises(DamagedInputError, match=r"^mine\.json: unknown image 'f0.jpg': job 2 has no such frame$"):
        backend.parse_submission(2, data, name="mine.json")
    with pytest.raises(DamagedInputError, match="is 64 x 47 pixels there, but the frame is 64 x 48"):
        backend.parse_submission(1, data.replace(b'"height":48', b'"height":47'), name="mine.json")


def test_numbers_of_numpy_are_plain_numbers(storage: LocalStorage) -> None:
    import numpy as np

    backend = connect(storage)
    backend.create_task(spec())
    xywh = tuple(np.array([1.5, 2, 3, 4], np.float32))
    backend.put_annotations(1, {"f0.jpg": [Box("person", xywh, np.float32(0.5))]})  # type: ignore[arg-type]
    assert backend.annotations(1).boxes["f0.jpg"] == (Box("person", (1.5, 2.0, 3.0, 4.0), 0.5),)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("task.json", "annotation/tasks/1/task.json is not JSON"),
        ("jobs/1/job.json", "annotation/tasks/1/jobs/1/job.json is not JSON"),
        ("jobs/1/boxes.json", "annotation/tasks/1/jobs/1/boxes.json is not JSON"),
    ],
)
def test_damaged_records(storage: LocalStorage, file: str, message: str) -> None:
    connect(storage).create_task(spec())
    (storage.root / "annotation/tasks/1" / file).write_text("x")
    with pytest.raises(DamagedInputError, match=f"^{re.escape(message)}"):
        connect(storage).annotations(1)


def test_dates_move_although_the_clock_does_not(storage: LocalStorage) -> None:
    backend = LocalBackend(storage, clock=lambda: FROZEN)
    backend.create_task(spec())
    dates = [backend.job(1).updated_at]
    assert dates == ["2026-11-20T12:00:00.000000+00:00"]
    dates += [backend.update_job(1, state=state).updated_at for state in get_args(State) if state != "new"]
    assert dates == sorted(set(dates))
    assert backend.add_issue(1, "x").created_at >= dates[-1]


# --- at the same moment -----------------------------------------------------------------------------------------------


@pytest.mark.required
def test_processes_at_once_make_one_task_of_a_uid(storage: LocalStorage) -> None:
    names = [f"T{number}" for number in range(6)]

    def create(seed: int) -> None:
        for name in random.Random(seed).sample(names, len(names)):
            connect(storage).create_task(spec(name))

    children = [forked(lambda seed=seed: create(seed)) for seed in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    backend = connect(storage)
    assert [task.id for task in backend.tasks()] == [1, 2, 3, 4, 5, 6]
    assert sorted(task.name for task in backend.tasks()) == names
    assert [job.id for job in backend.jobs()] == list(range(1, 19))
    assert not [name for name in tree(storage.root) if "/.new" in name or ".dataengine-tmp" in name]


@pytest.mark.required
def test_processes_at_once_lose_no_change(storage: LocalStorage) -> None:
    connect(storage).create_task(spec())

    def remark(author: str) -> None:
        for number in range(10):
            connect(storage).add_issue(1 + number % 2, str(number), author=author)
            connect(storage).put_annotations(1, {"f0.jpg": [Box("helmet", (0, 0, 1 + number, 1))]})

    children = [forked(lambda author=author: remark(author)) for author in "abc"]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    issues = [issue for job in (1, 2) for issue in connect(storage).issues(job)]
    assert sorted(issue.id for issue in issues) == list(range(1, 31))
    assert sorted((i.author, i.message) for i in issues) == [(a, str(n)) for a in "abc" for n in range(10)]


def test_lock_that_is_held_for_long_is_a_conflict(storage: LocalStorage) -> None:
    connect(storage).create_task(spec())
    with (storage.root / "annotation/.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match=r"^another process has been changing annotation for 0\.1 s"):
            connect(storage, lock_timeout_s=0.1).update_job(1, state="completed")
    assert connect(storage).update_job(1, state="completed").state == "completed"


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote is in the system's cache, forced to the disk or not: not waiting changes nothing."""
    monkeypatch.setattr(os, "fsync", lambda _file: None)


def forked(work: Callable[[], object]) -> int:
    """Do it in a child process, which ends with 0 when it went well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    return child


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Do it in a child process that gets SIGKILL at its nth call to the system; False when it was done before."""

    def run() -> None:
        left = moment

        def count(event: str, _arguments: object) -> None:
            nonlocal left
            if event.startswith(("open", "os.", "shutil.", "tempfile.", "fcntl.")):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()

    status = os.waitpid(forked(run), 0)[1]
    assert status in (0, signal.SIGKILL)
    return status != 0


class Quiet:
    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...
    def advance(self, amount: int = 1) -> None: ...
    def note(self, text: str) -> None: ...
    def finish(self) -> None: ...


def upload_submit_accept(storage: LocalStorage) -> None:
    backend = connect(storage)
    frames = [Frame(str(n), f"f{n}.jpg", f"frames/f{n}.jpg", 64, 48, "cam") for n in range(5)]
    boxes = {"f1.jpg": (Box("person", (1, 2, 3, 4), 0.5, "p"),)}
    settings = upload.UploadSettings(job_size=2, task_size=3)
    specs = list(upload.plan_tasks("Batch", frames, boxes, ClassRegistry.of(LABELS), settings))
    planned = list(zip(specs, [("ann", "bob"), ("ann", "bob")], strict=True))
    list(upload.upload(planned, backend, Quiet(), frames=len(frames)))
    review.submit(backend, 2, {"f2.jpg": (Box("helmet", (1, 1, 1, 1)),)})
    review.accept(backend, 2)


def submit_once(storage: LocalStorage) -> None:
    review.submit(connect(storage), 1, {"f0.jpg": (Box("helmet", (5, 5, 9, 9)),)})


def reject_once(storage: LocalStorage) -> None:
    review.reject(connect(storage), 1, "too wide", "rev", "f0.jpg", (1.0, 2.0, 3.0, 4.0))


@pytest.mark.required
@pytest.mark.parametrize(
    ("before", "work", "stride"),
    [
        pytest.param([], upload_submit_accept, 5, id="from nothing to accepted"),
        pytest.param([lambda s: connect(s).create_task(spec())], submit_once, 1, id="submit"),
        pytest.param([lambda s: connect(s).create_task(spec()), submit_once], reject_once, 1, id="reject"),
        pytest.param(
            [lambda s: connect(s).create_task(spec()), submit_once, reject_once, submit_once],
            reject_once,
            3,
            id="reject for the same reason again",
        ),
    ],
)
def test_killed_at_any_moment_and_run_again_ends_the_same(
    tmp_path: Path,
    quick: None,
    before: list[Callable[[LocalStorage], object]],
    work: Callable[[LocalStorage], None],
    stride: int,
) -> None:
    start = prepared(tmp_path / "start")
    for step in before:
        step(start)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(start.root, undisturbed)
    work(LocalStorage(undisturbed))
    wanted = tree(undisturbed)
    assert wanted != tree(start.root)

    moment = 0
    alive = True
    while alive:
        moment += stride
        root = tmp_path / "killed"
        shutil.copytree(start.root, root)
        alive = killed_at(moment, lambda root=root: work(LocalStorage(root)))
        # A reader in between meets whole tasks only.
        for job in connect(LocalStorage(root)).jobs():
            connect(LocalStorage(root)).annotations(job.id)
        if alive:
            work(LocalStorage(root))
        assert tree(root) == wanted, f"killed at call {moment}"
        shutil.rmtree(root)
    assert moment > 10


@pytest.mark.required
def test_killed_again_and_again_ends_the_same(tmp_path: Path, quick: None) -> None:
    undisturbed = prepared(tmp_path / "undisturbed")
    upload_submit_accept(undisturbed)
    for seed in range(4):
        chance = random.Random(seed)
        storage = prepared(tmp_path / f"killed {seed}")
        # Ever later, so that it comes to an end.
        for patience in range(50, 10_000, 50):
            if not killed_at(
                chance.randint(1, patience), lambda root=storage.root: upload_submit_accept(LocalStorage(root))
            ):
                break
        assert tree(storage.root) == tree(undisturbed.root)


@pytest.mark.required
def test_full_disk_while_a_task_is_made_leaves_nothing(storage: LocalStorage) -> None:
    """A limit on the size of files stands in for the disk: the record of the second, larger task does not fit."""
    import resource

    many = TaskSpec(
        "many", "Many", LABELS, tuple(TaskFrame(f"{n:03}.jpg", "frames/f0.jpg", 64, 48) for n in range(99)), 99
    )

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        backend = connect(storage)
        backend.create_task(spec())
        with pytest.raises(StorageFullError, match=r"^the disk is full: annotation/tasks/\.new/jobs/4/"):
            backend.create_task(many)

    assert os.waitpid(forked(work), 0)[1] == 0
    assert sorted(os.listdir(storage.root / "annotation/tasks")) == ["1"]
    assert connect(storage).create_task(many).id == 2


def test_the_numbers_of_a_task_that_is_gone_are_never_used_again(storage: LocalStorage) -> None:
    backend = connect(storage)
    first, second = backend.create_task(spec()), backend.create_task(replace(spec(), uid="b" * 32))
    jobs = {job.id for job in backend.jobs()}
    shutil.rmtree(storage.root / f"annotation/tasks/{second.id}")
    backend = connect(storage)
    again = backend.create_task(replace(spec(), uid="b" * 32))
    assert again.id == second.id + 1
    assert jobs.isdisjoint(job.id for job in backend.jobs(again.id))
    assert [task.id for task in backend.tasks()] == [first.id, again.id]
