"""Every box knows when it was proposed, handed in, accepted and merged, and still does after later edits."""

from __future__ import annotations

import json
import uuid

import pytest

from data_engine.app.annotation import review
from data_engine.app.annotation.jobs import refresh
from data_engine.app.annotation.sync import sync
from data_engine.app.annotation.upload import upload
from data_engine.app.merge.export import export
from data_engine.lineage import datasets, job_history
from data_engine.types import Box

DATES = ("proposed_at", "submitted_at", "accepted_at", "merged_at")


@pytest.fixture(params=["local", pytest.param("cvat", marks=pytest.mark.required)])
def engine(workspace, request):
    """2 jobs of 2 frames, ann's, with a proposal on the first frame of each."""
    sections = {}
    if request.param == "cvat":
        pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
        from cvat_server import ADMIN, CvatServer

        server = request.getfixturevalue("servers").enter_context(CvatServer(seed=3))
        for name in ("ann", "rea"):
            server.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": uuid.uuid4().hex}
        sections = {"annotation": {"backend": "cvat"}, "cvat": account}
    settings = {"task_name": "T", "job_size": 2, "assignee": ("ann",)}
    opened = workspace.open(upload=settings, sync={"reviewer": ("rea",)}, **sections)
    folder = workspace.draw("in", range(4))
    names = sorted(path.name for path in folder.iterdir())
    coco = {
        "images": [{"id": n, "file_name": name, "width": 64, "height": 48} for n, name in enumerate(names, 1)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 10, 20], "area": 200, "iscrowd": 0}
            for n in (1, 3)
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    proposals = workspace.root / "proposals.json"
    proposals.write_text(json.dumps(coco))
    upload(opened, frames=folder, preannotations=proposals)
    return opened


@pytest.fixture
def servers():
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield stack


def boxes(engine, number):
    """The attributes of the version's boxes, as the file tells them, by job."""
    document = json.loads(engine.storage.read_bytes(f"master_dataset/master_dataset_v{number}.json"))
    found: dict[str, list[dict[str, str]]] = {}
    for row in document["annotations"]:
        found.setdefault(row["attributes"]["job"], []).append(row["attributes"])
    return found


def through(engine, job):
    """The job's whole way by the people's own clicks; the backend's dates of completion and of acceptance."""
    backend = engine.backend()
    submitted = backend.update_job(job, state="completed").updated_at
    sync(engine)
    backend.update_job(job, state="completed")
    sync(engine)
    accepted = backend.job(job)
    assert accepted.accepted
    return submitted, accepted.updated_at


def test_each_box_carries_its_dates_and_keeps_them(engine):
    backend = engine.backend()
    first, second = backend.jobs()
    backend.put_annotations(
        first.id, {**backend.annotations(first.id).boxes, first.frame_names[1]: (Box("person", (5.0, 5.0, 9.0, 9.0)),)}
    )
    submitted, accepted = through(engine, first.id)
    assert export(engine).data["version"] == "v1"
    ((proposed, drawn),) = (
        sorted(rows, key=lambda box: box["change"] == "added") for rows in boxes(engine, 1).values()
    )
    assert (proposed["change"], drawn["change"]) == ("kept", "added")
    assert "proposed_at" not in drawn
    for box in (proposed, drawn):
        assert (box["submitted_at"], box["accepted_at"]) == (submitted, accepted)
        assert (box["annotator"], box["reviewer"]) == ("ann", "rea")
    with engine.database.read() as connection:
        (run,) = connection.exec_driver_sql("select started_at from runs where stage = 'upload'")
        (made,) = connection.exec_driver_sql("select created_at from dataset_versions where number = 1")
    assert (proposed["proposed_at"], proposed["merged_at"]) == (run[0], made[0])

    # Another job is merged: what was there stays, to the letter.
    through(engine, second.id)
    export(engine)
    assert boxes(engine, 2)[proposed["job"]] == boxes(engine, 1)[proposed["job"]]

    # Rejected, changed and accepted once more: these are boxes of another acceptance, and v1 still tells of the first.
    review.reject(engine, first.id, "look again", by="rea")
    backend.put_annotations(first.id, {first.frame_names[0]: (Box("person", (30.0, 5.0, 9.0, 9.0)),)})
    again = through(engine, first.id)
    assert again > (submitted, accepted)
    export(engine)
    (later,) = boxes(engine, 3)[proposed["job"]]
    assert (later["submitted_at"], later["accepted_at"]) == again
    assert later["merged_at"] > proposed["merged_at"]
    with engine.database.read() as connection:
        old = [box.dates for rows in datasets.boxes_of(connection, 1).values() for box in rows]
        assert len(list(connection.exec_driver_sql("select id from acceptances"))) == 3
    assert {(dates.submitted_at, dates.accepted_at) for dates in old} == {(submitted, accepted)}


def test_a_job_that_was_seen_accepted_only_has_no_date_of_being_handed_in(engine):
    backend = engine.backend()
    job = backend.jobs()[0]
    accepted = backend.update_job(job.id, stage="acceptance", state="completed")
    export(engine)
    ((box,),) = boxes(engine, 1).values()
    assert box["accepted_at"] == accepted.updated_at
    assert "submitted_at" not in box
    assert all(box[name].endswith("+00:00") for name in DATES if name in box)


def test_what_was_accepted_is_known_at_once(engine):
    """Not only when somebody looks later: a frame that comes back in between would pass for accepted."""
    backend = engine.backend()
    job = backend.jobs()[0]
    submitted = backend.update_job(job.id, stage="validation", state="new")
    review.accept(engine, [job.id], by="rea")
    (seen,) = (entry for entry in refresh(engine, backend) if entry.job.id == job.id)
    with engine.database.read() as connection:
        history = job_history.histories(connection, [seen.known])[seen.known.id]
    assert (history.submitted_at, history.accepted_at) == (submitted.updated_at, seen.job.updated_at)
    assert history.acceptance is not None
    shown = review.show(engine, job.id).data
    assert (shown["annotator"], shown["submitted"], shown["reviewer"], shown["accepted"]) == (
        "ann",
        submitted.updated_at,
        "rea",
        seen.job.updated_at,
    )
