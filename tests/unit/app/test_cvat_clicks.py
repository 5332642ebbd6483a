"""A click on CVAT while a request of ours has to wait: whatever the server answers before, the click stands."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace

import pytest

from data_engine.app.annotation import review
from data_engine.app.annotation.jobs import refresh
from data_engine.app.annotation.sync import sync
from data_engine.app.annotation.upload import upload
from data_engine.app.merge.export import export
from data_engine.errors import ConflictError, MissingInputError
from data_engine.lineage.tables import acceptance_intents
from data_engine.types import Box

pytestmark = pytest.mark.required
UPLOAD = {"task_name": "Night", "task_size": 4, "job_size": 2, "assignee": ("ann",)}
FAULTS = [("429", False), ("reset", False), ("504", True)]


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
    from cvat_server import CvatServer

    with CvatServer(seed=8) as running:
        for name in ("ann", "rea", "rob"):
            running.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield running


@pytest.fixture
def opened(workspace, server):
    """Opens the workspace: 2 jobs of 2 frames, ann's."""
    from cvat_server import ADMIN

    account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": uuid.uuid4().hex}
    server.faults.reset()

    def open_it(**more):
        sync_settings = {"sync": {"reviewer": ("rea",)}} | more
        return workspace.open(annotation={"backend": "cvat"}, cvat=account, **sync_settings)

    upload(open_it(upload=UPLOAD), frames=workspace.draw("in", range(4)))
    yield open_it
    server.faults.reset()


def box(x=3.0):
    return [Box("person", (x, 4.0, 12.0, 10.0))]


def clicking(engine, click):
    """While the engine waits to try again, somebody clicks."""
    connection = engine.backend()._connection
    clicks = [click]

    def sleep(_seconds):
        if clicks:
            clicks.pop()()
        time.sleep(0)

    connection.patience = replace(connection.patience, sleep=sleep)


def in_validation(opened):
    """The first job, completed in validation by its reviewer; its number."""
    engine = opened()
    job = engine.backend().jobs()[0]
    engine.backend().put_annotations(job.id, {job.frame_names[0]: box()})
    engine.backend().update_job(job.id, state="completed")
    sync(engine)
    engine.backend().update_job(job.id, state="completed")
    return job


@pytest.mark.parametrize(("kind", "after"), FAULTS)
@pytest.mark.parametrize("command", ["sync", "accept"])
def test_a_rejection_meanwhile_is_not_overwritten(kind, after, command, opened, server):
    job = in_validation(opened)
    engine, people = opened(), opened().backend()

    def reject():
        people.put_annotations(job.id, {job.frame_names[0]: box(20.0)})
        people.update_job(job.id, state="rejected")

    clicking(engine, reject)
    server.faults.add(kind, after=after, next=1, method="PATCH", path=f"/api/jobs/{job.id}$", seconds=0.1)
    if command == "sync":
        report = sync(engine)
        assert any("was changed by somebody at the same moment" in note for note in report.notes)
    else:
        with pytest.raises(ConflictError):
            review.accept(engine, [job.id], by="rob")
    assert people.job(job.id).state == "rejected"
    with pytest.raises(MissingInputError):
        export(opened())
    assert sync(opened()).data["rejected"] == 1
    assert (people.job(job.id).stage, people.job(job.id).assignee) == ("annotation", "ann")


@pytest.mark.parametrize(("kind", "after"), FAULTS)
def test_a_save_meanwhile_is_not_accepted(kind, after, opened, server):
    """With the stage and state that were wanted already there, the job is as wanted; its boxes are not."""
    job = in_validation(opened)
    engine, people = opened(), opened().backend()
    clicking(engine, lambda: people.put_annotations(job.id, {job.frame_names[0]: box(20.0)}))
    server.faults.add(kind, after=after, next=1, method="PATCH", path=f"/api/jobs/{job.id}$", seconds=0.1)
    sync(engine)
    other = people.jobs()[1]
    people.update_job(other.id, stage="acceptance", state="completed")
    report = export(opened())
    assert (report.data["jobs_merged"], report.data["boxes"]) == (1, 0)
    assert people.job(job.id).stage == "validation"
    with engine.database.read() as connection:
        intents = list(connection.execute(acceptance_intents.select()))
    # It was not accepted where nothing of the request had an effect: the next acceptance clears it away.
    assert len(intents) == (0 if after else 1)
    sync(opened())
    people.update_job(job.id, state="completed")
    sync(opened())
    assert export(opened()).data["boxes"] == 1


def test_a_click_while_the_session_is_renewed(opened, server, monkeypatch):
    job = in_validation(opened)
    engine, people = opened(), opened().backend()
    backend = engine.backend()
    people.people(), backend.people()
    log_in = backend._connection._log_in_by_password

    def slowly():
        people.update_job(job.id, state="rejected")
        log_in()

    seen = backend.job(job.id)
    row, of_backend = backend._jobs.row, []

    def last_look(number):
        found = row(number)
        if not of_backend:
            of_backend.append(number)
            with server.state.lock:
                server.state.sessions.clear()
            people._connection._log_in_by_password()
            monkeypatch.setattr(backend._connection, "_log_in_by_password", slowly)
        return found

    monkeypatch.setattr(backend._jobs, "row", last_look)
    with pytest.raises(ConflictError):
        backend.update_job(job.id, stage="acceptance", state="completed", expected=seen.updated_at)
    assert people.job(job.id).state == "rejected"


@pytest.mark.parametrize(("kind", "after"), FAULTS)
def test_boxes_that_somebody_saved_meanwhile_stay(kind, after, opened, server):
    engine, people = opened(), opened().backend()
    backend = engine.backend()
    job = backend.jobs()[0]
    clicking(engine, lambda: people.put_annotations(job.id, {job.frame_names[0]: box(20.0)}))
    server.faults.add(kind, after=after, next=1, method="PUT", path=f"/api/jobs/{job.id}/annotations$", seconds=0.1)
    with pytest.raises(ConflictError):
        backend.put_annotations(job.id, {job.frame_names[0]: box()}, stage="validation", expected=job.updated_at)
    assert [found.xywh[0] for found in people.annotations(job.id).boxes[job.frame_names[0]]] == [20.0]
    assert people.job(job.id).stage == "annotation"


def test_boxes_whose_answer_was_lost_are_put_once_and_handed_in(opened, server):
    backend = opened().backend()
    job = backend.jobs()[0]
    server.faults.add("504", after=True, next=1, method="PUT", path="/annotations$")
    after = backend.put_annotations(job.id, {job.frame_names[0]: box()}, stage="validation", expected=job.updated_at)
    assert (after.stage, after.state) == ("validation", "new")
    assert len(server.requests("PUT", f"/api/jobs/{job.id}/annotations")) == 1


def test_nothing_is_asked_between_the_last_look_and_the_change(opened, server):
    job = in_validation(opened)
    engine = opened()
    for call in (
        lambda: review.reject(engine, job.id, "too loose", by="rea"),
        lambda: review.assign(engine, [job.id], "rob"),
    ):
        began = len(server.requests())
        call()
        asked = [(row["method"], row["path"]) for row in server.requests()[began:]]
        (at,) = (n for n, (method, path) in enumerate(asked) if (method, path) == ("PATCH", f"/api/jobs/{job.id}"))
        assert asked[at - 1] == ("GET", f"/api/jobs/{job.id}")
        assert ("GET", "/api/users") in asked[: at - 1] or at > 1


@pytest.mark.parametrize(("kind", "after"), FAULTS)
def test_a_job_that_somebody_took_during_an_upload_stays_theirs(kind, after, workspace, opened, server):
    engine = opened(upload=UPLOAD | {"task_name": "Day"})
    people = opened().backend()
    known = {job.id for job in people.jobs()}

    def take():
        if not server.faults.struck:
            clicking(engine, take)  # it waits for the server to make the task
            return
        for job in people._connection.pages("/api/jobs", type="annotation"):
            if job["id"] not in known and job["assignee"] is None:
                with server.state.lock:
                    server.state.jobs[job["id"]].assignee = server.state.user_named("rob").id
                    server.state.touch(server.state.jobs[job["id"]])

    clicking(engine, take)
    server.faults.add(kind, after=after, next=1, method="PATCH", path=r"/api/jobs/\d+$", seconds=0.1)
    upload(engine, frames=workspace.draw("more", range(20, 24)))
    fresh = [job for job in refresh(engine, engine.backend()) if job.job.id not in known]
    first = "ann" if after else "rob"
    assert [seen.job.assignee for seen in fresh] == [first, "rob"]
