"""``sync``, ``export``, ``status`` and lost tasks, on plain files and on a server that behaves as CVAT."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import replace

import pytest

from data_engine.app.annotation import review
from data_engine.app.annotation.jobs import refresh
from data_engine.app.annotation.moves import with_past
from data_engine.app.annotation.sync import keep_syncing, sync
from data_engine.app.annotation.upload import upload
from data_engine.app.annotation.upload_again import upload_again
from data_engine.app.merge.export import export
from data_engine.app.status import status
from data_engine.errors import ConflictError, MissingInputError, ServiceError, UsageError
from data_engine.lineage import datasets, job_history
from data_engine.lineage.tables import reviews
from data_engine.types import Box, JobContent

PEOPLE = ("ann", "ben", "rea", "rob", "lea")
UPLOAD = {"task_name": "Night", "task_size": 8, "job_size": 2, "assignee": ("ann", "ben")}


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
    from cvat_server import CvatServer

    with CvatServer(seed=5) as running:
        for name in PEOPLE:
            running.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield running


@pytest.fixture(params=["local", pytest.param("cvat", marks=pytest.mark.required)])
def opened(workspace, request):
    """Opens the workspace with settings; 4 jobs of 2 frames are uploaded, 1 and 3 are ann's, 2 and 4 ben's."""
    sections = {}
    if request.param == "cvat":
        from cvat_server import ADMIN

        url = request.getfixturevalue("server").url
        account = {"url": url, "username": ADMIN[0], "password": ADMIN[1], "patience": 60.0}
        sections = {"annotation": {"backend": "cvat"}, "cvat": account | {"project": f"sync {uuid.uuid4().hex[:8]}"}}

    def open_it(**more):
        return workspace.open(**sections, **more)

    upload(open_it(upload=UPLOAD), frames=workspace.draw("in", range(8)))
    return open_it


def jobs(engine):
    """The jobs by their place among those of the workspace, from 1."""
    return dict(enumerate(engine.backend().jobs(), 1))


def complete(engine, *places, state="completed"):
    for place in places:
        engine.backend().update_job(jobs(engine)[place].id, state=state)


def standing(engine):
    return [(job.stage, job.state, job.assignee) for job in jobs(engine).values()]


def decisions(engine):
    with engine.database.read() as connection:
        rows = connection.execute(reviews.select().order_by(reviews.c.at, reviews.c.id))
        return sorted((row.action, row.actor or "") for row in rows)


def draw(engine, place, x=3.0):
    """Somebody draws a box on the job's first frame, as they do in the server's own page: nothing else changes."""
    backend, job = engine.backend(), jobs(engine)[place]
    backend.put_annotations(job.id, {job.frame_names[0]: [Box("person", (x, 4.0, 12.0, 10.0))]})


def test_a_job_goes_its_whole_way(opened):
    engine = opened(sync={"reviewer": ("rea", "rob@example.com" if opened().backend().name != "local" else "rob")})
    assert sync(engine).title == "no job to move on"
    complete(engine, 1, 2)
    report = sync(engine)
    assert report.title == "2 jobs moved on: 2 to review"
    assert [(row["was"], row["is"], row["assignee"]) for row in report.rows][:1] == [
        ("annotation, completed", "validation, new", "rea")
    ]
    assert standing(engine)[:2] == [("validation", "new", "rea"), ("validation", "new", "rob")]
    complete(engine, 1)
    complete(engine, 2, state="rejected")
    assert sync(engine).data["moved"] == 2
    assert standing(engine)[:2] == [("acceptance", "completed", "rea"), ("annotation", "rejected", "ben")]
    # Corrected, it returns to the same reviewer, though another has less to do.
    complete(engine, 2)
    sync(engine)
    assert standing(engine)[1] == ("validation", "new", "rob")
    before = standing(engine), decisions(engine)
    for _ in range(2):
        assert sync(engine).data["moved"] == 0
    assert (standing(engine), decisions(engine)) == before
    assert decisions(engine) == [
        ("accepted", "rea"),
        ("rejected", "rob"),
        *[("submitted", "ann"), ("submitted", "ben"), ("submitted", "ben")],
    ]
    assert export(engine).data["jobs_merged"] == 1
    with engine.database.read() as connection:
        known = {seen.known.reviewer for seen in refresh(engine, engine.backend()) if seen.job.accepted}
        assert datasets.latest(connection).frames == 2
    assert known == {"rea"}


def test_two_levels(opened):
    engine = opened(sync={"reviewer": ("rea",), "two_level": True, "lead": "lea", "export": True})
    complete(engine, 1)
    sync(engine)
    complete(engine, 1)
    report = sync(engine)
    assert report.title == "1 job moved on: 1 to the lead"
    assert standing(engine)[0] == ("acceptance", "new", "lea")
    with pytest.raises(MissingInputError):
        export(engine)
    complete(engine, 1)
    report = sync(engine)
    assert report.data["dataset_version"] == "v1"
    assert decisions(engine) == [("accepted", "lea"), ("accepted", "rea"), ("submitted", "ann")]
    # Accepted past the lead: it does not count, neither for sync nor for export.
    engine.backend().update_job(jobs(engine)[2].id, stage="acceptance", state="completed", assignee="rea")
    report = export(engine)
    assert report.data["jobs_back_to_review"] == 1
    assert not report.data["new"]
    assert standing(engine)[1] == ("acceptance", "new", "lea")


@pytest.mark.parametrize("who", ["sync", "export"])
@pytest.mark.parametrize("merged", [True, False])
def test_an_edit_after_acceptance_goes_back_to_review(who, merged, opened):
    engine = opened(sync={"reviewer": ("rea", "rob")})
    complete(engine, 1, 2)
    sync(engine)
    complete(engine, 1, 2)
    sync(engine)
    if merged:
        assert export(engine).data["frames"] == 4
    draw(engine, 1)
    # Whoever looks in between must not take the new date for that of the acceptance.
    status(engine)
    report = sync(engine) if who == "sync" else export(engine)
    if who == "sync":
        assert report.title == "1 job moved on: 1 changed after acceptance and back to review"
        report = export(engine)
    else:
        assert "changed after acceptance" in " ".join(report.notes)
        assert report.data["jobs_back_to_review"] == 1
    assert standing(engine)[0] == ("validation", "new", "rea")
    assert (report.data["frames"], report.data["boxes"]) == (2, 0)
    complete(engine, 1)
    sync(engine)
    report = export(engine)
    assert (report.data["frames"], report.data["boxes"]) == (4, 1)
    assert export(engine).data["new"] is False


def test_what_is_accepted_no_longer_leaves_with_the_sync_that_exports(opened):
    engine = opened(sync={"export": True})
    backend = engine.backend()
    for job in backend.jobs()[:2]:
        backend.update_job(job.id, stage="acceptance", state="completed")
    assert sync(engine).data["dataset_version"] == "v1"
    assert "dataset_version" not in sync(engine).data
    job = next(job for job in backend.jobs() if job.accepted)
    backend.update_job(job.id, stage="annotation", state="new", assignee="ann")
    report = sync(engine)
    assert report.data["dataset_version"] == "v2"
    assert any("left the dataset until" in note for note in report.notes)
    assert "dataset_version" not in sync(engine).data


def test_a_date_that_moves_alone_is_no_edit(opened):
    engine = opened(sync={"reviewer": ("rea",)})
    complete(engine, 1, 2)
    draw(engine, 1)
    sync(engine)
    complete(engine, 1, 2)
    sync(engine)
    # Saved with the same boxes: as a server does with all jobs when a label is added.
    draw(engine, 1)
    assert sync(engine).data["moved"] == 0
    assert export(engine).data["boxes"] == 1
    draw(engine, 1)
    report = export(engine)
    assert (report.data["new"], "jobs_back_to_review" in report.data) == (False, False)
    assert standing(engine)[0][:2] == ("acceptance", "completed")
    draw(engine, 1, x=4.0)
    assert sync(engine).data["moved"] == 1


def test_a_click_in_between_is_not_overwritten(opened, monkeypatch):
    engine = opened(sync={"reviewer": ("rea",)})
    complete(engine, 1, 2)
    backend = engine.backend()
    update, first = backend.update_job, jobs(engine)[1].id

    def late(job_id, **change):
        if job_id == first and "expected" in change:
            monkeypatch.undo()
            update(job_id, state="in progress")
        return update(job_id, **change)

    monkeypatch.setattr(backend, "update_job", late)
    monkeypatch.setattr(engine, "backend", lambda: backend)
    report = sync(engine)
    assert "was changed by somebody at the same moment" in " ".join(report.notes)
    assert [s[:2] for s in standing(engine)[:2]] == [("annotation", "in progress"), ("validation", "new")]


def test_a_sync_that_was_killed_is_finished_by_the_next(opened, monkeypatch):
    engine = opened(sync={"reviewer": ("rea", "rob")})
    complete(engine, 1, 2, 3)
    backend = engine.backend()
    update, calls = backend.update_job, iter(range(9))

    class Killed(BaseException):
        """Stands for a SIGKILL."""

    def killed(job_id, **change):
        done = update(job_id, **change)
        if next(calls) == 1:  # took effect, and nobody was told
            raise Killed
        return done

    with monkeypatch.context() as patch:
        patch.setattr(backend, "update_job", killed)
        patch.setattr(engine, "backend", lambda: backend)
        with pytest.raises(Killed):
            sync(engine)
    assert sync(opened(sync={"reviewer": ("rea", "rob")})).data["moved"] == 1
    assert [s[2] for s in standing(engine)[:3]] == ["rea", "rob", "rea"]
    assert decisions(engine) == [("submitted", "ann"), ("submitted", "ann"), ("submitted", "ben")]
    assert {seen.known.annotator for seen in refresh(engine, backend)} == {"ann", "ben"}


def test_a_rejection_by_command_goes_to_the_annotator(opened):
    engine = opened(sync={"reviewer": ("rea",)})
    complete(engine, 1)
    sync(engine)
    review.reject(engine, jobs(engine)[1].id, "too loose", by="rea")
    assert standing(engine)[0] == ("annotation", "rejected", "ann")
    complete(engine, 1)
    sync(engine)
    assert standing(engine)[0] == ("validation", "new", "rea")


def test_a_reviewer_whom_nobody_knows(opened):
    engine = opened(sync={"reviewer": ("reea",)})
    if engine.backend().name == "local":
        pytest.skip("every name is somebody's where no list is kept")
    complete(engine, 1)
    with pytest.raises(UsageError, match="reea") as told:
        sync(engine)
    assert "rea" in told.value.hint
    assert standing(engine)[0] == ("annotation", "completed", "ann")


def test_every_round_tells_one_line_and_goes_on_after_an_error(opened, monkeypatch):
    engine = opened(sync={"reviewer": ("rea",)})
    lines, rounds = [], iter(range(9))
    monkeypatch.setattr(engine.progress, "note", lines.append, raising=False)
    backend = engine.backend()
    listed = backend.jobs

    def wait():
        number = next(rounds)
        if number == 0:
            complete(engine, 1)
        monkeypatch.setattr(backend, "jobs", down if number == 2 else listed)
        if number == 4:
            raise KeyboardInterrupt

    def down(*_task):
        raise ServiceError("the server is down")

    monkeypatch.setattr(engine, "backend", lambda: backend)
    with pytest.raises(KeyboardInterrupt):
        keep_syncing(engine, wait)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "1 job moved on: 1 to review",
        "the server is down; the next round tries again",
    ]


def test_what_no_detector_takes_and_deleted_frames(opened, monkeypatch):
    engine = opened()
    backend = engine.backend()
    for place in (1, 2):
        draw(engine, place)
        backend.update_job(jobs(engine)[place].id, stage="acceptance", state="completed")
    read, target = backend.annotations, jobs(engine)[1]

    def annotations(job_id):
        content = read(job_id)
        if job_id != target.id:
            return content
        boxes = {name: rows for name, rows in content.boxes.items() if name != target.frame_names[0]}
        return JobContent(boxes, {"polygon": 2, "rotated box": 1}, frozenset(target.frame_names[:1]))

    monkeypatch.setattr(engine, "backend", lambda: backend)
    export(engine)
    with monkeypatch.context() as patch:
        patch.setattr(backend, "annotations", annotations)
        known = next(seen.known for seen in refresh(engine, backend) if seen.job.id == target.id)
        review.reject(engine, target.id, "once more", by="rea")
        backend.update_job(target.id, stage="validation", state="completed")
        review.accept(engine, [target.id], by="rea")
        report = export(engine)
        again = export(engine)
    assert report.data["left_out"] == {"polygon": 2, "rotated box": 1}
    assert (report.data["shapes_left_out"], report.data["frames_deleted"]) == (3, 1)
    assert (report.data["frames"], report.data["boxes"]) == (3, 1)
    assert f"job {target.id}: 2 polygons, 1 rotated box left out" in " ".join(report.notes)
    # It gives all that it has to give: it is not read again and again.
    assert (again.data["jobs_merged"], again.data["new"]) == (0, False)
    with engine.database.read() as connection:
        assert len(datasets.frames_of_jobs(connection, [known.id])[known.id]) == 1
    # Brought back and accepted again, it is in again.
    review.reject(engine, target.id, "bring it back", by="rea")
    backend.update_job(target.id, stage="validation", state="completed")
    review.accept(engine, [target.id], by="rea")
    assert export(engine).data["frames"] == 4


def test_status_tells_jobs_by_stage_state_and_person(opened):
    engine = opened(sync={"reviewer": ("rea",)})
    complete(engine, 1, 2)
    sync(engine)
    report = status(engine)
    rows = {row["step"].strip(): row for row in report.rows}
    first = jobs(engine)
    assert rows["annotation, new"]["count"] == 2
    assert rows["validation, new"]["detail"].startswith(f"rea 2 (oldest: job {first[1].id}, ")
    assert [(p["stage"], p["person"], p["jobs"], p["oldest"]) for p in report.data["jobs"]] == [
        ("annotation", "ann", 1, first[3].id),
        ("annotation", "ben", 1, first[4].id),
        ("validation", "rea", 2, first[1].id),
    ]


def test_a_task_that_is_gone_stops_nothing_and_is_made_anew(opened, workspace, request):
    engine = opened(sync={"reviewer": ("rea",)}, upload=UPLOAD | {"task_name": "Day"})
    upload(engine, frames=workspace.draw("more", range(20, 24)))
    backend = engine.backend()
    lost, kept = backend.tasks()[0].id, backend.tasks()[1].id
    for job in backend.jobs(lost):
        backend.update_job(job.id, stage="acceptance", state="completed")
    assert export(engine).data["frames"] == 8
    with pytest.raises(ConflictError, match=f"task {lost} is there"):
        upload_again(engine, lost)
    if backend.name == "local":
        shutil.rmtree(workspace.root / "annotation/tasks" / str(lost))
    else:
        request.getfixturevalue("server").state.drop_task(lost)
    engine = opened(sync={"reviewer": ("rea",)})
    report = status(engine)
    assert report.data["lost_tasks"] == [lost]
    assert [f"dataengine upload --again {lost}" in note for note in engine.notes] == [True]
    assert sync(engine).data["lost_tasks"] == [lost]
    # What was exported of it stays.
    assert export(engine).data["frames"] == 8
    with pytest.raises(MissingInputError, match=f"has lost task {lost}"):
        export(engine, task_id=lost)
    report = upload_again(engine, lost)
    assert (report.data["frames"], report.data["jobs"]) == (8, 4)
    assert report.data["task"] not in (lost, kept)
    assert [job.assignee for job in backend.jobs(report.data["task"])] == ["ann", "ben"] * 2
    assert status(engine).data["lost_tasks"] == []
    assert export(engine).data["frames"] == 8
    now = report.data["task"]
    with pytest.raises(ConflictError, match=f"task {lost} was made anew before: it is task {now} now"):
        upload_again(engine, lost)
    with pytest.raises(MissingInputError, match="task 999999 was not uploaded from here"):
        upload_again(engine, 999999)


def test_since_is_that_of_the_present_stage_and_state(opened):
    engine = opened(sync={"reviewer": ("rea",)})
    complete(engine, 1)
    sync(engine)
    handed_over = jobs(engine)[1].updated_at
    draw(engine, 1)
    (seen,) = (s for s in refresh(engine, engine.backend()) if s.job.id == jobs(engine)[1].id)
    with engine.database.read() as connection:
        history = job_history.histories(connection, [seen.known])[seen.known.id]
        nothing = job_history.histories(connection, [replace(seen.known, id="x" * 32)])
    assert (history.since, history.reviewer, history.accepted_at) == (handed_over, "rea", None)
    assert next(iter(nothing.values())) == job_history.History()
    assert [told.annotator for _job, told in with_past(engine, [seen])] == ["ann"]


@pytest.mark.required
def test_a_class_that_is_added_sends_no_accepted_job_back(workspace, server):
    """CVAT moves the date of every job of a project when a label is added to it."""
    from cvat_server import ADMIN

    project = f"labels {uuid.uuid4().hex[:8]}"
    account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": project}
    sections = {"annotation": {"backend": "cvat"}, "cvat": account, "sync": {"reviewer": ("rea",)}}
    engine = workspace.open(upload=UPLOAD, **sections)
    upload(engine, frames=workspace.draw("in", range(8)))
    complete(engine, 1, 2)
    draw(engine, 1)
    sync(engine)
    complete(engine, 1, 2)
    sync(engine)
    dates = [job.updated_at for job in jobs(engine).values()]
    wider = workspace.open(
        upload=UPLOAD | {"task_name": "Day"}, workspace={"classes": ("person", "helmet", "vest")}, **sections
    )
    upload(wider, frames=workspace.draw("more", range(20, 22)))
    assert all(job.updated_at > date for job, date in zip(jobs(engine).values(), dates, strict=False))
    assert sync(wider).data["moved"] == 0
    assert export(wider).data["boxes"] == 1
    draw(engine, 2)
    assert sync(wider).data["changed_after_acceptance"] == 1


@pytest.mark.required
def test_frames_deleted_on_the_server_leave_and_few_requests_serve_many_jobs(workspace, server):
    from cvat_server import ADMIN

    account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": f"many {uuid.uuid4().hex[:8]}"}
    sections = {"annotation": {"backend": "cvat"}, "cvat": account}
    engine = workspace.open(upload=UPLOAD | {"job_size": 1}, **sections)
    upload(engine, frames=workspace.draw("in", range(24)))
    engine = workspace.open(**sections)
    before = len(server.requests())
    assert len(status(engine).data["jobs"]) == 2
    assert len(server.requests()) - before <= 12
    backend = engine.backend()
    first = backend.jobs()[0]
    backend.update_job(first.id, stage="acceptance", state="completed")
    backend.update_job(backend.jobs()[1].id, stage="acceptance", state="completed")
    with server.state.lock:
        server.state.tasks[first.task_id].data.deleted = [0]
    report = export(engine)
    assert (report.data["frames"], report.data["frames_deleted"]) == (1, 1)
    assert export(engine).data["jobs_merged"] == 0
