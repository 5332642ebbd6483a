"""Review where boxes are corrected on a server: what is drawn there stays, and people are those of the server."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest

from data_engine.app.annotation import review, team
from data_engine.app.annotation.audit import audit
from data_engine.app.annotation.ground_truth import ground_truth
from data_engine.app.annotation.sync import sync
from data_engine.app.annotation.upload import upload
from data_engine.app.annotation.upload_again import upload_again
from data_engine.app.status import status
from data_engine.errors import ConflictError, UnknownPersonError, UsageError
from data_engine.lineage.tables import reviews

pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
from cvat_server import ADMIN, CvatServer

pytestmark = pytest.mark.required
UPLOAD = {"task_name": "Night", "task_size": 4, "job_size": 2, "assignee": ("ada",)}


@pytest.fixture(scope="module")
def server():
    with CvatServer(seed=8) as running:
        for name in ("ada", "rev", "mia"):
            running.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield running


@pytest.fixture
def opened(workspace, server):
    """Opens the workspace with settings, on a project of its own."""
    project = f"review {uuid.uuid4().hex[:8]}"

    def open_it(username=ADMIN[0], password=ADMIN[1], **more):
        account = {"url": server.url, "username": username, "password": password, "project": project}
        return workspace.open(annotation={"backend": "cvat"}, cvat=account, **more)

    return open_it


@pytest.fixture
def engine(workspace, opened):
    """A task of 2 jobs of 2 frames, a person on each frame; both jobs are ada's."""
    engine = opened(upload=UPLOAD, sync={"reviewer": ("rev",)})
    folder = workspace.draw("in", range(4))
    upload(engine, frames=folder, preannotations=proposed(workspace, engine, folder))
    return engine


def proposed(workspace, engine, folder):
    from data_engine.app.footage.pictures import frames_in

    frames, _failures = frames_in(engine, folder, hint="")
    names = sorted(frame.name for frame in frames)
    document = {
        "images": [{"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names, 1)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [4.0, 4.0, 12.0, 10.0], "score": 0.8}
            for i in range(1, len(names) + 1)
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    file = workspace.root / "pre.json"
    file.write_text(json.dumps(document))
    return file


def ask(engine, method, path, body=None):
    """What somebody does in the server's own page."""
    backend = engine.backend()
    return backend._connection.request(method, path, json=body)


def put(engine, number, **standing):
    return engine.backend().update_job(number, **standing)


def draw(engine, number, *kinds):
    """A shape of each of these kinds on the job's first frame, besides what is there."""
    path = f"/api/jobs/{number}/annotations"
    held = ask(engine, "GET", path)
    (first, *_others) = held["shapes"]
    points = {"polygon": [1.0, 1.0, 20.0, 1.0, 9.0, 22.0], "points": [5.0, 5.0]}
    for kind in kinds:
        shape = {**first, "attributes": [], "type": kind if kind in points else "rectangle"}
        shape |= {"points": points.get(kind, first["points"]), "rotation": 30.0 if kind == "rotated" else 0.0}
        held["shapes"].append(shape)
    ask(engine, "PUT", path, {"shapes": held["shapes"], "tracks": [], "tags": []})


def numbers(engine):
    return [job.id for job in engine.backend().jobs()]


def waits(engine):
    return {row["job"]: row["waits_for"] for row in review.list_jobs(engine).rows}


# --- what waits for whom ----------------------------------------------------------------------------------------------


def test_what_is_drawn_on_a_server_is_never_replaced(workspace, engine):
    first, second = numbers(engine)
    draw(engine, first, "polygon", "rotated", "points")
    before = ask(engine, "GET", f"/api/jobs/{first}/annotations")["shapes"]
    link = engine.backend().link_of(first)
    assert link.endswith(f"/jobs/{first}")
    with pytest.raises(UsageError) as caught:
        review.submit(engine, first, file=workspace.root / "pre.json")
    assert caught.value.message == f"the boxes of job {first} are corrected in CVAT, not in a file: {link}"
    assert f"dataengine review submit {first}" in caught.value.hint
    assert put(engine, first).state == "new"
    with pytest.raises(ConflictError, match=f"job {first} is ada's, not rev's"):
        review.submit(engine, first, by="rev")
    done = review.submit(engine, first, by="ADA@example.com")
    assert (done.title, done.next) == (f"job {first} completed: 2 boxes on 2 frames", "dataengine sync")
    assert ask(engine, "GET", f"/api/jobs/{first}/annotations")["shapes"] == before
    job = engine.backend().job(first)
    assert (job.stage, job.state, job.assignee) == ("annotation", "completed", "ada")
    assert "completed before" in review.submit(engine, first).title
    assert sync(engine).data["moved"] == 1
    assert engine.backend().job(first).assignee == "rev"
    assert "completed before" in review.submit(engine, first).title
    with engine.database.read() as connection:
        told = [(row.action, row.actor) for row in connection.execute(reviews.select())]
    assert told == [("submitted", "ada")], "by command and by sync it is one decision"
    assert review.start(engine, second).next.startswith("correct it in CVAT and set it to completed: http")


def test_each_standing_says_where_it_is_moved_on(engine):
    (number, _other) = numbers(engine)
    link = engine.backend().link_of(number)
    in_cvat = f"correct it in CVAT and set it to completed: {link}"
    decide = (
        f"set it to completed or rejected in CVAT: {link}; or: dataengine review accept {number}, "
        f"or: dataengine review reject {number} --reason '...'"
    )
    for stage, state, said, then in (
        ("annotation", "new", in_cvat, "review list"),
        ("annotation", "in progress", in_cvat, "review list"),
        ("annotation", "rejected", f"read why: dataengine review show {number}; {in_cvat}", "review list"),
        ("annotation", "completed", "dataengine sync", "sync"),
        ("validation", "new", decide, "review list"),
        ("validation", "rejected", "dataengine sync", "sync"),
        ("validation", "completed", "dataengine sync", "sync"),
        ("acceptance", "new", decide, "review list"),
        ("acceptance", "rejected", "dataengine sync", "sync"),
        ("acceptance", "completed", "dataengine export", "review list"),
    ):
        put(engine, number, stage=stage, state=state)
        assert waits(engine)[number] == said, (stage, state)
        assert review.show(engine, number).data["waits_for"] == said
        told = status(engine)
        assert told.next == f"dataengine {then}", (stage, state)
        (row,) = (row for row in told.rows if row["step"] == "jobs")
        assert ("1 to move on by sync" in row["detail"]) is (then == "sync")
    put(engine, number, stage="annotation", state="new")
    with pytest.raises(ConflictError) as caught:
        review.accept(engine, [number])
    assert caught.value.hint == in_cvat


def test_a_list_asks_for_all_jobs_at_once(engine, server):
    review.list_jobs(engine)
    since = len(server.requests())
    review.list_jobs(engine)
    assert [r["path"] for r in server.requests()[since:] if "/api/jobs/" in r["path"]] == []


# --- people -----------------------------------------------------------------------------------------------------------


def leave(server, name):
    """An administrator deletes an account: its jobs are nobody's."""
    gone = server.state.user_named(name)
    for job in server.state.jobs.values():
        if job.assignee == gone.id:
            job.assignee = None
    del server.state.users[gone.id]


@pytest.mark.parametrize("how", ["sync", "review reject"])
def test_a_rejected_job_of_somebody_who_left(workspace, opened, server, how):
    server.state.add_user("gone", "password-of-gone", email="gone@example.com")
    engine = opened(upload=UPLOAD | {"assignee": ("gone",)}, sync={"reviewer": ("rev",)})
    upload(engine, frames=workspace.draw("in", range(2)))
    (number,) = numbers(engine)
    review.submit(engine, number)
    sync(engine)
    leave(server, "gone")
    engine = opened(sync={"reviewer": ("rev",)})
    if how == "sync":
        put(engine, number, state="rejected")
        report = sync(engine)
        assert report.failures == ()
    else:
        report = review.reject(engine, number, "look again")
        assert report.title == f"job {number} rejected and back with nobody"
        assert len(engine.backend().issues(number)) == 1
    assert "its annotator gone is not known on the annotation server any more" in " ".join(report.notes)
    assert f"dataengine review assign {number} --to NAME --as annotator" in " ".join(report.notes)
    job = engine.backend().job(number)
    assert (job.stage, job.state, job.assignee) == ("annotation", "rejected", None)
    assert (sync(engine).data["moved"], sync(engine).failures) == (0, ())
    assert review.assign(engine, [number], "ADA", role="annotator").data["assignee"] == "ada"
    assert engine.backend().job(number).assignee == "ada"


def test_a_reviewer_who_left_and_is_named_nowhere(workspace, opened, server):
    server.state.add_user("gone", "password-of-gone", email="gone@example.com")
    engine = opened(upload=UPLOAD)
    upload(engine, frames=workspace.draw("in", range(2)))
    (number,) = numbers(engine)
    put(engine, number, stage="validation", state="new", assignee="gone")
    review.list_jobs(engine)
    put(engine, number, state="rejected")
    sync(engine)
    leave(server, "gone")
    engine = opened()
    put(engine, number, state="completed")
    report = sync(engine)
    assert report.failures == ()
    assert f"dataengine review assign {number} --to NAME --as reviewer" in " ".join(report.notes)
    job = engine.backend().job(number)
    assert (job.stage, job.state, job.assignee) == ("validation", "new", None)


def test_people_by_e_mail_and_in_any_case(engine):
    first, second = numbers(engine)
    for given in ("ada", "ADA", "Ada@Example.com"):
        assert review.list_jobs(engine, assignee=given).data["jobs"] == 2
    assert review.list_jobs(engine, assignee="rev").data["jobs"] == 0
    assert review.list_jobs(engine, assignee="").data["jobs"] == 0
    with pytest.raises(UnknownPersonError) as caught:
        review.list_jobs(engine, assignee="adda")
    assert (caught.value.message, caught.value.hint) == ("nobody is known as 'adda'", "did you mean ada?")
    with pytest.raises(UnknownPersonError, match=r"nobody on .* is called 'nemo'"):
        review.assign(engine, [second], "nemo")
    put(engine, first, stage="validation", state="new")
    assert review.assign(engine, [first], "REV@example.com", role="reviewer").title == "1 job given to rev"
    review.accept(engine, [first], by="Rev@Example.com")
    assert review.start(engine, second, by="ADA").title.endswith("by ada")
    with engine.database.read() as connection:
        assert [row.actor for row in connection.execute(reviews.select())] == ["rev"]


def test_an_account_that_may_list_nobody_takes_a_job_itself(workspace, opened):
    engine = opened("mia", "password-of-mia", upload=UPLOAD | {"assignee": ()})
    upload(engine, frames=workspace.draw("in", range(2)))
    (number,) = numbers(engine)
    with pytest.raises(UsageError, match="may not list the people"):
        team.list_people(engine)
    assert review.assign(engine, [number], "mia@example.com").data["jobs"] == [number]
    assert engine.backend().job(number).assignee == "mia"
    assert review.list_jobs(engine, assignee="MIA").data["jobs"] == 1
    with pytest.raises(UsageError, match="may not list the people"):
        review.assign(engine, [number], "ada")


def test_roles_are_an_organizations(engine, opened, workspace, server):
    ask(engine, "POST", "/api/organizations", {"slug": "yard"})
    account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": "roles"}
    inside = workspace.open(annotation={"backend": "cvat"}, cvat=account | {"organization": "yard"})
    told = team.add_person(inside, "una", "una@example.com", "reviewer")
    assert told.title == "una has an account as a reviewer"
    assert (told.rows[0]["role"], told.rows[0]["server_role"], len(told.notes)) == ("reviewer", "supervisor", 1)
    outside = team.add_person(engine, "udo", "udo@example.com", "reviewer")
    assert (outside.title, outside.data) == ("udo has an account", {"name": "udo"})
    assert any('[sync] reviewer = ["udo"]' in note for note in outside.notes)
    with pytest.raises(ConflictError) as caught:
        team.add_person(engine, "udo", "other@example.com", "reviewer")
    assert caught.value.hint.endswith("which can be used as it is: dataengine sync --reviewer udo")


# --- what is told -----------------------------------------------------------------------------------------------------


def test_show_tells_of_all_that_is_drawn(engine):
    first, _second = numbers(engine)
    draw(engine, first, "polygon", "points", "rotated", "rotated")
    ask(engine, "PATCH", f"/api/jobs/{first}/data/meta", {"deleted_frames": [1]})
    put(engine, first, stage="validation", state="new")
    for box in ((60.0, 1.0, 20.0, 8.0), (-5.0, 1.0, 20.0, 8.0), (1.0, 40.0, 8.0, 30.0)):
        with pytest.raises(UsageError, match=r"is not in .* which has 64 x 48 pixels"):
            review.reject(engine, first, "here", frame="0", box=box)
    assert engine.backend().issues(first) == []
    review.reject(engine, first, "here", frame="0", box=(52.0, 1.0, 12.5, 8.0), by="rev")
    told = review.show(engine, first)
    names = engine.backend().job(first).frame_names
    assert (told.data["frames"], len(told.rows), told.data["boxes"]) == (1, 1, 1)
    assert told.data["deleted_frames"] == [names[1]]
    assert told.data["left_out"] == "1 shape of points, 1 polygon, 2 rotated boxes"
    assert told.data["remarks"] == f"here (rev on {names[0]} at 52,1,12.5,8)"
    assert told.data["issues"][0]["box"] == [52.0, 1.0, 12.5, 8.0]


def test_a_rejected_job_and_one_click_are_audited(engine, clock):
    first, second = numbers(engine)
    review.list_jobs(engine)
    clock.time += timedelta(hours=8)
    for _ in range(2):
        review.submit(engine, first)
        sync(engine)
        put(engine, first, state="rejected")
        sync(engine)
    assert engine.backend().job(first).stage == "annotation"
    (row,) = audit(engine).rows
    assert (row["jobs"], row["rejected"], row["rejections"], row["minutes_per_job"]) == (1, 1, 2, None)
    # Nobody was seen at work on it, and nothing was touched.
    assert row["flagged"] == 1
    told = audit(engine)
    assert told.data["rushed_jobs"] == [{"job": first, "annotator": "ada", "frames": 2, "minutes": None}]
    assert f"job {first} (ada): nothing was changed on 2 frames, and it was never seen in progress" in told.notes
    # Emptied: nothing was looked at either.
    ask(engine, "PUT", f"/api/jobs/{second}/annotations", {"shapes": [], "tracks": [], "tags": []})
    review.submit(engine, second)
    told = audit(engine)
    assert told.data["emptied_jobs"] == [{"job": second, "annotator": "ada", "removed": 2, "probes": 0}]
    assert f"job {second} (ada): emptied, all of its boxes removed" in told.notes
    assert told.rows[0]["flagged"] == 2


def test_emptying_a_job_catches_no_probe(workspace, opened):
    engine = opened(upload=UPLOAD | {"job_size": 4, "probes": "20%"})
    folder = workspace.draw("in", range(4))
    upload(engine, frames=folder, preannotations=proposed(workspace, engine, folder))
    (number,) = numbers(engine)
    ask(engine, "PUT", f"/api/jobs/{number}/annotations", {"shapes": [], "tracks": [], "tags": []})
    review.submit(engine, number)
    told = audit(engine)
    assert (told.data["probes"], told.data["caught"], told.data["untouched_probes"]) == (1, 0, [])
    (said,) = told.notes
    assert said == f"job {number} (ada): emptied, all of its boxes removed; 1 probe among them not counted as caught"


def test_ground_truth_tells_the_share_that_it_has(engine):
    (row,) = ground_truth(engine, 0.5).rows
    assert (row["frames"], row["share"]) == (2, 0.5)
    again = ground_truth(engine, 0.9)
    assert again.rows == (row,)
    task = row["task"]
    said = f"task {task}: its ground truth is there since before, of 2 of 4 frames (50.0%), not 90.0%"
    assert again.notes[0] == said
    # Shapes that are no boxes count on the server, and not here.
    boxes = {name: rows for n in numbers(engine) for name, rows in engine.backend().annotations(n).boxes.items()}
    truth = engine.backend().annotations(row["job"]).boxes
    engine.backend().put_annotations(row["job"], {name: boxes[name] for name in truth})
    for number in numbers(engine):
        draw(engine, number, "polygon")
    put(engine, row["job"], state="completed")
    told = ground_truth(engine, 0.5)
    (row,) = told.rows
    assert (row["precision"], row["recall"]) == (1.0, 1.0)
    assert row["server_precision"] < 1.0
    assert told.notes == (
        f"task {task}: the server's precision and recall are of all shapes (2 polygons are drawn in these jobs), those "
        "beside them of upright boxes alone",
    )


def test_lost_tasks_and_probes_without_proposals(workspace, opened):
    engine = opened(upload=UPLOAD | {"probes": "2%"})
    folder = workspace.draw("in", range(4))
    report = upload(engine, frames=folder)
    assert "no probe is shown: the frames come without pre-annotations to hide one among" in report.notes[0]
    (task,) = engine.backend().tasks()
    ask(engine, "DELETE", f"/api/tasks/{task.id}")
    engine = opened(upload=UPLOAD)
    again = upload(engine, frames=folder)
    assert again.title == "no new task: 4 frames in a task already"
    assert f"has lost task {task.id};" in engine.notes[0]
    made = upload_again(engine, task.id).data["task"]
    with pytest.raises(ConflictError, match=f"task {task.id} was made anew before: it is task {made} now"):
        upload_again(engine, task.id)
    with pytest.raises(ConflictError, match=f"task {made} is there, with 2 jobs"):
        upload_again(engine, made)
