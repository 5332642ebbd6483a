"""A purge of what lies on CVAT: it is told what to delete there, and until then nothing of it comes back."""

from __future__ import annotations

import uuid

import pytest

from data_engine.app.annotation.sync import sync
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.dataset_verify import verify
from data_engine.app.lineage.lineage_purge import purge
from data_engine.app.merge.export import export
from data_engine.lineage import datasets
from data_engine.types import Box

pytestmark = pytest.mark.required


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
    from cvat_server import CvatServer

    with CvatServer(seed=9) as running:
        running.state.add_user("ann", "password-of-ann", email="ann@example.com")
        yield running


def test_what_is_left_on_the_server_is_told_and_stays_there(workspace, server):
    from cvat_server import ADMIN

    account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": uuid.uuid4().hex}
    settings = {"task_size": 4, "job_size": 2, "assignee": ("ann",)}
    engine = workspace.open(upload=settings, annotation={"backend": "cvat"}, cvat=account)
    upload(engine, frames=workspace.draw("in", range(4)))
    backend = engine.backend()

    def accept(job, x):
        backend.update_job(job.id, stage="annotation", state="in progress")
        sync(engine)
        backend.put_annotations(job.id, {name: [Box("person", (x, 4.0, 12.0, 10.0))] for name in job.frame_names})
        backend.update_job(job.id, stage="acceptance", state="completed")

    first, second = backend.jobs()
    for job in (first, second):
        accept(job, 3.0)
    assert export(engine).data["frames"] == 4
    (gone, _stays) = first.frame_names
    report = purge(engine, frame=gone, sure=lambda _question: True)
    assert report.data["elsewhere"] == [
        {"backend": backend.name, "task": first.task_id, "frames": [gone], "whole": False}
    ]
    assert report.notes[-1] == f"still on {backend.name}: task {first.task_id}, 1 frame: delete {gone} there"
    assert (export(engine).data["new"], sync(engine).data["moved"]) == (False, 0)
    # Accepted anew, the job brings its other frame alone.
    accept(first, 5.0)
    report = export(engine)
    assert (report.failures, report.data["version"], report.data["frames"]) == ((), "v3", 3)
    with engine.database.read() as connection:
        held = datasets.boxes_of(connection, 3)
    assert sorted(box.xywh[0] for boxes in held.values() for box in boxes) == [3.0, 3.0, 5.0]
    assert verify(engine, pictures=True).failures == ()
    # What is wholly gone is asked for no more.
    for name in (*backend.job(first.id).frame_names[1:], *second.frame_names):
        purge(engine, frame=name, sure=lambda _question: True)
    assert verify(engine).failures == ()
