"""Uploads: an interrupted one ends as an undisturbed one, and everybody gets an equal share."""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from contextlib import ExitStack, contextmanager

import pytest
from drawn_workspace import Workspace

from data_engine.app.annotation import review
from data_engine.app.annotation.jobs import refresh
from data_engine.app.annotation.upload import upload
from data_engine.errors import DamagedInputError, UsageError
from data_engine.lineage import shown_boxes, uploads
from data_engine.types import Failed
from data_engine.words import counted

SETTINGS = {"task_name": "Night", "task_size": 5, "job_size": 2, "assignee": ["a", "b", "c"]}


class Killed(BaseException):
    """Stands for a SIGKILL: nothing in the program may catch it."""


def state(workspace: Workspace) -> dict[str, object]:
    """All that an upload leaves behind, without the times."""
    engine = workspace.open()
    backend = engine.backend()
    with engine.database.read() as connection:
        uids = uploads.task_numbers(connection, backend.name)
        frames = {uid: sorted(uploads.frame_names(connection, uid).items()) for uid in uids.values()}
    known = sorted((s.known.number, s.known.task_id, s.known.assignee) for s in refresh(engine, backend))
    return {
        "tasks": backend.tasks(),
        "uids": uids,
        "frames": frames,
        "known": known,
        "jobs": [(j.id, j.task_id, j.stage, j.state, j.assignee, j.frame_names) for j in backend.jobs()],
        "files": sorted(
            str(path.relative_to(workspace.root))
            for path in (workspace.root / "annotation").rglob("*")
            if path.is_file()
        ),
    }


@pytest.fixture
def twin(tmp_path, clock):
    """Another workspace with the same pictures, for a run that nothing disturbs."""
    with ExitStack() as stack:
        yield Workspace(tmp_path / "twin", clock, stack)


@pytest.mark.parametrize("tasks_before", [0, 1, 2])
@pytest.mark.parametrize("where", ["before the task", "after the task", "while jobs are given out"])
def test_an_interrupted_upload_is_finished_by_the_next(tasks_before, where, workspace, twin, monkeypatch):
    for one in (workspace, twin):
        one.draw("in", range(13))
    undisturbed = upload(twin.open(upload=SETTINGS), frames=twin.root / "in")
    assert undisturbed.data["tasks"] == 3

    engine = workspace.open(upload=SETTINGS)
    backend = engine.backend()
    create, update = backend.create_task, backend.update_job

    def creating(spec):
        last = len(backend.tasks()) == tasks_before
        if last and where == "before the task":
            raise Killed
        task = create(spec)
        if last and where == "after the task":
            raise Killed
        return task

    def updating(job_id, **changes):
        if where == "while jobs are given out" and len(backend.tasks()) == tasks_before + 1:
            raise Killed
        return update(job_id, **changes)

    monkeypatch.setattr(backend, "create_task", creating)
    monkeypatch.setattr(backend, "update_job", updating)
    monkeypatch.setattr(engine, "backend", lambda: backend)
    with pytest.raises(Killed):
        upload(engine, frames=workspace.root / "in")

    # Whoever goes on need not repeat the settings: what was begun is finished as it was meant.
    report = upload(workspace.open(), frames=workspace.root / "in")
    assert report.data["frames_in_tasks_already"] == 13
    finished = f"finished {counted(3 - tasks_before, 'task')} of an upload that was interrupted"
    assert f"{finished}, as planned then (jobs of {SETTINGS['job_size']} frames)" in report.notes
    assert state(workspace) == state(twin)
    assert upload(workspace.open(upload=SETTINGS), frames=workspace.root / "in").data["tasks"] == 0
    assert state(workspace) == state(twin)


@pytest.mark.parametrize(
    ("frames", "people", "expected"),
    [
        # Tasks of 5 frames have three jobs each, the last task of 3 frames two.
        (13, ["a", "b", "c"], ["abc", "abc", "ab"]),
        (13, ["a", "b"], ["aba", "bab", "ab"]),
        (13, ["a", "b", "c", "d"], ["abc", "dab", "cd"]),
        (13, ["a"], ["aaa", "aaa", "aa"]),
        (4, ["a", "b", "c"], ["ab"]),
    ],
)
def test_the_rotation_runs_over_all_tasks(frames, people, expected, workspace):
    engine = workspace.open(upload={**SETTINGS, "assignee": people})
    upload(engine, frames=workspace.draw("in", range(frames)))
    backend = engine.backend()
    given = ["".join(job.assignee or "-" for job in backend.jobs(task.id)) for task in backend.tasks()]
    assert given == expected
    shares = Counter("".join(given)).values()
    assert max(shares) - min(shares) <= 1


def test_without_assignees_nobody_is_named(workspace):
    engine = workspace.open(upload={**SETTINGS, "assignee": []})
    upload(engine, frames=workspace.draw("in", range(3)))
    assert {job.assignee for job in engine.backend().jobs()} == {None}


def test_frames_go_up_once(workspace):
    engine = workspace.open(upload=SETTINGS)
    folder = workspace.draw("in", range(4))
    assert upload(engine, frames=folder).data["frames"] == 4
    assert upload(engine, frames=folder).title == "no new task: 4 frames in a task already"
    workspace.draw("in", range(4, 7))
    again = upload(engine, frames=folder)
    assert (again.data["frames"], again.data["frames_in_tasks_already"]) == (3, 4)
    names = [name for job in engine.backend().jobs() for name in job.frame_names]
    assert len(names) == len(set(names)) == 7


def test_two_batches_have_two_names(workspace):
    engine = workspace.open()
    folder = workspace.draw("in", range(2))
    upload(engine, frames=folder)
    workspace.draw("in", range(2, 4))
    upload(engine, frames=folder)
    assert [task.name for task in engine.backend().tasks()] == ["Batch_01", "Batch_02"]


def test_without_classes_nobody_could_label(tmp_path, workspace):
    (workspace.root / "dataengine.toml").write_text("")
    (workspace.root / ".dataengine/lineage.db").unlink()
    with pytest.raises(UsageError) as caught:
        upload(workspace.open(), frames=workspace.draw("in", [0]))
    assert caught.value.message == "no class is known yet, so nobody could label anything"
    where = shlex.quote(os.path.relpath(workspace.root))
    assert caught.value.hint == f"name them: dataengine init --classes person,helmet {where}"


def test_proposals_for_pictures_that_nobody_knows_are_refused_before_anything_is_made(workspace):
    engine = workspace.open(upload=SETTINGS)
    folder = workspace.draw("in", range(2))
    file = workspace.root / "pre.json"
    file.write_text(
        '{"images": [{"id": 1, "file_name": "unknown.jpg", "width": 64, "height": 48}], "annotations": [],'
        ' "categories": [{"id": 1, "name": "person"}]}'
    )
    with pytest.raises(DamagedInputError, match=r"image 'unknown\.jpg' is not among the frames"):
        upload(engine, frames=folder, preannotations=file)
    assert engine.backend().tasks() == []
    assert upload(engine, frames=folder).data["tasks"] == 1


def test_two_uploads_at_once_put_every_frame_into_one_task(workspace, monkeypatch):
    folder = workspace.draw("in", range(6))
    first, second = (workspace.open(upload={**SETTINGS, "task_name": name}) for name in ("Day", "Night"))
    run = first.runner.run

    @contextmanager
    def overtaken(*arguments, **options):
        # The first has looked at everything; before it writes its plan, the second does all its work.
        upload(second, frames=folder)
        with run(*arguments, **options) as begun:
            yield begun

    monkeypatch.setattr(first.runner, "run", overtaken)
    assert upload(first, frames=folder).title == "no new task: 6 frames in a task already"
    assert [task.name for task in first.backend().tasks()] == ["Night (1/2)", "Night (2/2)"]
    names = [name for job in first.backend().jobs() for name in job.frame_names]
    assert len(names) == len(set(names)) == 6


def test_a_lost_picture_holds_up_its_own_task_only(workspace, monkeypatch):
    engine = workspace.open(upload=SETTINGS)
    folder = workspace.draw("in", range(10))
    backend = engine.backend()

    def killed(_spec):
        raise Killed

    monkeypatch.setattr(backend, "create_task", killed)
    monkeypatch.setattr(engine, "backend", lambda: backend)
    with pytest.raises(Killed):
        upload(engine, frames=folder)
    lost = min(folder.iterdir())
    kept = lost.read_bytes()
    lost.unlink()

    workspace.draw("in", range(10, 12))
    for made in (2, 0):
        report = upload(workspace.open(upload={**SETTINGS, "task_name": "New"}), frames=folder)
        assert report.data["tasks"] == made
        assert Failed("task 'Night (1/2)'", f"in/{lost.name} is not there") in report.failures
        assert any(note.startswith("1 task not made for want of a picture, and still planned") for note in report.notes)
    assert {task.name for task in workspace.open().backend().tasks()} == {"Night (2/2)", "New"}

    lost.write_bytes(kept)
    report = upload(workspace.open(upload=SETTINGS), frames=folder)
    assert (report.failures, [row["name"] for row in report.rows]) == ((), ["Night (1/2)"])
    names = [name for job in workspace.open().backend().jobs() for name in job.frame_names]
    assert len(names) == len(set(names)) == 12


def test_proposals_of_one_id_are_both_kept(workspace):
    """The id is what a file from elsewhere says; lineage and the annotators must see every box all the same."""
    engine = workspace.open(upload={**SETTINGS, "task_size": 9})
    folder = workspace.draw("in", range(2))
    images = [{"id": n, "file_name": p.name, "width": 64, "height": 48} for n, p in enumerate(sorted(folder.iterdir()))]
    boxes = [
        {"id": n, "image_id": image, "category_id": 1, "bbox": [x, 2, 9, 9], "attributes": {"proposal": proposal}}
        for n, (image, x, proposal) in enumerate([(0, 1, "same"), (0, 20, "same"), (1, 1, "same"), (1, 9, "x" * 33)], 1)
    ]
    file = workspace.root / "pre.json"
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "person"}]}))
    assert upload(engine, frames=folder, preannotations=file).data["proposed_boxes"] == 4
    (job,) = engine.backend().jobs()
    shown = engine.backend().annotations(job.id).boxes
    ids = {box.proposal_id for found in shown.values() for box in found}
    assert len(ids) == 4
    assert "same" in ids
    assert max(map(len, ids)) == 32, "lineage keeps no longer ones"
    with engine.database.read() as connection:
        (uid,) = uploads.task_numbers(connection, "local").values()
        names = uploads.frame_names(connection, uid)
        recorded = shown_boxes.proposals_on(connection, uid, names.values())
    assert {proposal.id for found in recorded.values() for proposal in found} == ids


def test_who_annotated_and_who_reviewed_is_never_guessed_from_the_upload(workspace):
    engine = workspace.open(upload={**SETTINGS, "assignee": ["alice"]})
    upload(engine, frames=workspace.draw("in", range(4)))
    review.submit(engine, 1, by="bob")
    review.submit(engine, 2)
    # Once more after the reviewer was assigned: who annotated stays who it was.
    engine.backend().update_job(2, assignee="rev")
    review.submit(engine, 2)
    review.accept(engine, [1, 2])
    people = [(seen.known.annotator, seen.known.reviewer) for seen in refresh(engine, engine.backend())]
    assert people == [("bob", None), ("alice", "rev")]
