"""Frames that somebody deletes or brings back on CVAT after their job was accepted: no date of the job tells of it."""

from __future__ import annotations

import uuid

import pytest

from data_engine.app.annotation.sync import sync
from data_engine.app.annotation.upload import upload
from data_engine.app.merge.export import export
from data_engine.types import Box

pytestmark = pytest.mark.required
UPLOAD = {"task_name": "Night", "task_size": 4, "job_size": 2, "assignee": ("ann",)}


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
    from cvat_server import CvatServer

    with CvatServer(seed=6) as running:
        for name in ("ann", "rea"):
            running.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield running


@pytest.fixture
def engine(workspace, server):
    """2 tasks of 2 jobs of 2 frames with one box each; the jobs of the first task are accepted."""
    from cvat_server import ADMIN

    account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": uuid.uuid4().hex}
    sections = {"annotation": {"backend": "cvat"}, "cvat": account, "sync": {"reviewer": ("rea",)}}
    opened = workspace.open(upload=UPLOAD, **sections)
    upload(opened, frames=workspace.draw("in", range(8)))
    backend = opened.backend()
    for job in backend.jobs():
        backend.put_annotations(job.id, {name: [Box("person", (3.0, 4.0, 12.0, 10.0))] for name in job.frame_names})
    return opened


def accept(engine, *places):
    backend, jobs = engine.backend(), engine.backend().jobs()
    for place in places:
        backend.update_job(jobs[place].id, stage="acceptance", state="completed")
    return [backend.job(jobs[place].id) for place in places]


def delete(server, job, *numbers):
    """What CVAT's page does when a job's frames, by their numbers in the task, are deleted; none brings all back."""
    from cvat_sdk import make_client
    from cvat_server import ADMIN

    with make_client(server.url, credentials=ADMIN) as client:
        client.jobs.retrieve(job.id).remove_frames_by_ids(list(numbers))


def asked(server, since):
    """Paths of the requests for the frames of whole tasks since the so-manieth request."""
    return [r["path"] for r in server.requests()[since:] if r["path"].endswith("/data/meta") and "/tasks/" in r["path"]]


def test_a_deleted_frame_leaves_the_dataset_and_comes_back(engine, server):
    first, _second = accept(engine, 0, 1)
    assert export(engine).data["frames"] == 4
    delete(server, first, 0)
    assert engine.backend().job(first.id).updated_at == first.updated_at
    report = sync(engine)
    assert (report.data["moved"], report.data["jobs_with_frames_deleted_or_restored"]) == (0, 1)
    assert any(f"job {first.id}: 1 frame deleted on the annotation server" in note for note in report.notes)
    # It is told until it is done.
    assert sync(engine).data["jobs_with_frames_deleted_or_restored"] == 1
    report = export(engine)
    assert (report.data["version"], report.data["frames"], report.data["boxes"]) == ("v2", 3, 3)
    assert (report.data["frames_deleted"], report.data["frames_dropped"], report.data["jobs_merged"]) == (1, 1, 1)
    assert (export(engine).data["new"], "jobs_with_frames_deleted_or_restored" in sync(engine).data) == (False, False)
    # What was accepted with the job is good when it is there again.
    delete(server, first)
    report = export(engine)
    assert (report.data["frames"], report.data["boxes"]) == (4, 4)
    assert engine.backend().job(first.id).accepted


def test_a_frame_that_was_deleted_at_acceptance_goes_to_review_when_it_comes_back(engine, server):
    first = engine.backend().jobs()[0]
    delete(server, first, 1)
    accept(engine, 0, 1)
    assert export(engine).data["frames"] == 3
    delete(server, first)
    report = export(engine)
    assert (report.data["frames"], report.data["jobs_back_to_review"]) == (2, 1)
    now = engine.backend().job(first.id)
    assert (now.stage, now.state, now.assignee) == ("validation", "new", "rea")
    accept(engine, 0)
    assert export(engine).data["frames"] == 4


def test_before_it_was_merged_too(engine, server):
    first = engine.backend().jobs()[0]
    delete(server, first, 0)
    accept(engine, 0)
    sync(engine)
    delete(server, first)
    report = sync(engine)
    assert report.data["changed_after_acceptance"] == 1
    assert f"job {first.id}: a frame that was deleted when it was accepted is there again" in report.notes


def test_sync_merges_what_a_deleted_frame_leaves(engine, server):
    first, _second = accept(engine, 0, 1)
    export(engine)
    delete(server, first, 0, 1)
    engine.settings = engine.settings.model_copy(
        update={"sync": engine.settings.sync.model_copy(update={"export": True})}
    )
    assert sync(engine).data["dataset_version"] == "v2"
    assert "dataset_version" not in sync(engine).data


def test_only_tasks_that_moved_are_asked(engine, server):
    first, _second, third = accept(engine, 0, 1, 2)
    export(engine)
    sync(engine)
    before = len(server.requests())
    sync(engine)
    export(engine)
    assert asked(server, before) == []
    delete(server, third, 0)
    before = len(server.requests())
    export(engine)
    assert asked(server, before) == [f"/api/tasks/{third.task_id}/data/meta"]
    assert first.task_id != third.task_id


def test_a_date_that_moves_for_a_deleted_frame_alone_is_no_edit(engine, server):
    """Another reason moves the dates of accepted jobs, and a frame is gone: their boxes are what was accepted."""
    first, _second = accept(engine, 0, 1)
    export(engine)
    delete(server, first, 0)
    with server.state.lock:
        server.state.touch(server.state.jobs[first.id])
    assert engine.backend().job(first.id).updated_at > first.updated_at
    report = export(engine)
    assert (report.data["frames"], report.data.get("jobs_back_to_review")) == (3, None)
