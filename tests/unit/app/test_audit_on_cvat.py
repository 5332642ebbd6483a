"""Probes, audit, ground truth and accounts on a server that behaves as CVAT, over a socket."""

from __future__ import annotations

import json
import os
import re
import uuid

import pytest
from test_review_audit import SETTINGS, proposals, truth, watched

from data_engine.app.annotation import review, team
from data_engine.app.annotation.audit import audit
from data_engine.app.annotation.ground_truth import ground_truth
from data_engine.app.annotation.upload import upload
from data_engine.cli.main import main
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import footage, uploads
from data_engine.types import Box

pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")


@pytest.fixture(scope="module")
def server():
    from cvat_server import CvatServer

    with CvatServer(seed=3) as running:
        for name in ("hasty", "ada", "rev"):
            running.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield running


@pytest.fixture
def account(server):
    from cvat_server import ADMIN

    return {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "patience": 60.0}


@pytest.fixture(params=[pytest.param("cvat", marks=pytest.mark.required), "real cvat"])
def loop(workspace, request):
    """A workspace whose tasks are on a server, and the names that hasty, ada and rev have there."""
    people = {name: name for name in ("hasty", "ada", "rev")}
    if request.param == "cvat":
        account = request.getfixturevalue("account")
    elif (url := os.environ.get("DATAENGINE_TEST_CVAT_URL", "")) == "":
        pytest.skip("no real CVAT server was named (DATAENGINE_TEST_CVAT_URL)")
    else:
        account = {"url": url, "patience": 120.0}
        account |= {name: os.environ[f"DATAENGINE_TEST_CVAT_{name.upper()}"] for name in ("username", "password")}
        people = {name: f"{name}-{uuid.uuid4().hex[:8]}" for name in people}
    # Probes and drawn frames follow from the names of server and project.
    named = {"project": "audit", "known_as": "cvat.example.org"}
    if request.param != "cvat":
        named = {"project": f"audit {uuid.uuid4().hex[:8]}"}
    sections = {"annotation": {"backend": "cvat"}, "cvat": account | named}
    if request.param != "cvat":
        engine = workspace.open(**sections)
        for name in people.values():
            team.add_person(engine, name, f"{name}@example.com", "annotator")
    folder = workspace.draw("pictures", range(24))
    engine = workspace.open(upload=SETTINGS | {"assignee": (people["hasty"], people["ada"])}, **sections)
    upload(engine, frames=folder, preannotations=proposals(workspace, engine, folder))
    return engine, people


def true_boxes(engine, job):
    """What is to be seen on a job's frames, by their names."""
    with engine.database.read() as connection:
        uid = uploads.task_numbers(connection, engine.backend().name)[job.task_id]
        names = uploads.frame_names(connection, uid)
        frames = footage.frames_by_id(connection, names.values())
    return {name: [Box(label, xywh) for label, xywh in truth(frames[names[name]])] for name in job.frame_names}


def test_probes_audit_and_ground_truth(loop):
    engine, names = loop
    hasty_s, ada_s, rev_s = names["hasty"], names["ada"], names["rev"]
    backend = engine.backend()
    jobs = backend.jobs()
    assert [job.assignee for job in jobs] == [hasty_s, ada_s] * 3
    probes = watched(engine)
    his = sum(len(probes[job.id]) for job in jobs if job.assignee == hasty_s)
    hers = sum(len(probes[job.id]) for job in jobs if job.assignee == ada_s)
    assert his + hers == 10
    for job in jobs:
        backend.update_job(job.id, state="in progress")
        if job.assignee == hasty_s:
            backend.update_job(job.id, stage="validation", state="new")
        else:
            backend.put_annotations(job.id, true_boxes(engine, job), stage="validation", state="new")
    review.assign(engine, [job.id for job in jobs], f"{rev_s.upper()}@example.com", role="reviewer")
    assert {row["reviewer"] for row in review.list_jobs(engine).rows} == {rev_s}
    before = audit(engine)
    assert [row["caught"] for row in before.rows] == [hers, 0]
    review.accept(engine, [job.id for job in jobs], by=rev_s)
    told = audit(engine)
    ada, hasty = told.rows
    assert (ada["annotator"], ada["caught"], hasty["annotator"], hasty["caught"]) == (ada_s, hers, hasty_s, 0)
    assert (hasty["moved"], hasty["added"], hasty["removed"], hasty["agreement"]) == (0, 0, 0, 1.0)
    assert len(told.data["untouched_probes"]) == his
    assert re.fullmatch(r"https?://[^/]+/tasks/\d+/jobs/\d+", told.data["untouched_probes"][0]["open"])
    # Half of the frames are labelled a second time.
    (made,) = ground_truth(engine, 0.5).rows
    assert (made["state"], "precision" in made) == ("new", False)
    assert ground_truth(engine, 0.5).rows == (made,), "one a task, however often it is asked for"
    frames = backend.annotations(made["job"]).boxes
    assert len(frames) == 12
    with pytest.raises(MissingInputError, match=f"job {made['job']} is not one of the jobs that task"):
        review.accept(engine, [made["job"]])
    assert review.assign(engine, [made["job"]], rev_s).data["jobs"] == [made["job"]]
    everything = {name: boxes for job in jobs for name, boxes in true_boxes(engine, job).items()}
    backend.put_annotations(made["job"], {name: everything[name] for name in frames}, state="completed")
    done = ground_truth(engine, 0.5)
    (row,) = done.rows
    assert (row["frames"], done.data["finished"], done.notes) == (12, 1, ())
    # On a real server the frames are others each time, and may be those without a missed object.
    least = 1.0 if engine.settings.cvat.known_as is None else 0.999
    assert 0.7 < row["precision"] <= least
    assert 0.7 < row["recall"] <= least
    assert row["precision"] == pytest.approx(row["server_precision"])
    assert row["recall"] == pytest.approx(row["server_recall"])


def test_an_assignee_whom_the_server_does_not_know(workspace, account):
    folder = workspace.draw("pictures", range(2))
    sections = {"annotation": {"backend": "cvat"}, "cvat": account | {"project": "nobody"}}
    engine = workspace.open(upload={"assignee": ("hasty", "adda")}, **sections)
    with pytest.raises(UsageError) as caught:
        upload(engine, frames=folder)
    assert caught.value.message == "nobody on the annotation server is called 'adda'"
    assert caught.value.hint.startswith("did you mean ada")
    assert engine.backend().tasks() == []


def test_accounts(workspace, account):
    sections = {"annotation": {"backend": "cvat"}, "cvat": account | {"project": "accounts"}}
    engine = workspace.open(team={"password": "given-with-care-7"}, **sections)
    told = team.add_person(engine, "zoe", "zoe@example.com", "reviewer")
    assert told.title == "zoe has an account"
    (said,) = told.notes
    assert "accounts have no role on the server" in said
    assert '[sync] reviewer = ["zoe"]' in said
    assert "password" not in told.rows[0], "who gave it knows it"
    assert {"zoe", "ada", "hasty", "rev"} <= {row["name"] for row in team.list_people(engine).rows}
    with pytest.raises(ConflictError) as caught:
        team.add_person(engine, "zoe", "other@example.com", "annotator")
    assert caught.value.hint == (
        "zoe (zoe@example.com) has an account already, which can be used as it is: dataengine upload --assignee zoe"
    )
    for name, email, message in (("z z", "z@example.com", "'z z' is not a name"), ("z", "z", "--email z: not an")):
        with pytest.raises(UsageError, match=message):
            team.add_person(engine, name, email, "annotator")


def test_a_password_that_is_made_up_is_shown_once_and_never_logged(workspace, account, monkeypatch, capsys):
    for name, value in {
        "annotation_backend": "cvat",
        **{f"cvat_{key}": value for key, value in account.items()},
    }.items():
        monkeypatch.setenv(f"DATAENGINE_{name.upper()}", str(value))
    monkeypatch.chdir(workspace.root)
    assert main(["team", "add", "yan", "--email", "yan@example.com", "--json"]) == 0
    shown = capsys.readouterr()
    (row,) = json.loads(shown.out)["rows"]
    assert len(row["password"]) >= 12
    assert row["password"] not in shown.err
    logs = "".join(path.read_text() for path in (workspace.root / "logs").rglob("*.jsonl"))
    assert "yan has an account" in logs
    assert row["password"] not in logs
    assert account["password"] not in logs
    # The account is good: the person logs in and sees no task of others.
    theirs = workspace.open(
        annotation={"backend": "cvat"},
        cvat={"url": account["url"], "username": "yan", "password": row["password"], "project": "accounts"},
    )
    with pytest.raises(UsageError, match="may not list the people"):
        team.list_people(theirs)
