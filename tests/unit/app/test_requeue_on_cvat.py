"""Frames sent to review again on a CVAT server: a task of their own there, with the boxes and a remark each."""

from __future__ import annotations

import uuid

import pytest

from data_engine.app.annotation.requeue import requeue
from data_engine.app.annotation.review import accept
from data_engine.app.annotation.upload import upload
from data_engine.app.merge.export import export
from data_engine.lineage import footage, requeued
from data_engine.types import Box

pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
from cvat_server import ADMIN, CvatServer

pytestmark = pytest.mark.required


def test_a_frame_is_looked_at_again_on_a_server(workspace):
    with CvatServer(seed=8) as server:
        project = f"again {uuid.uuid4().hex[:8]}"
        account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": project}
        engine = workspace.open(annotation={"backend": "cvat"}, cvat=account, upload={"job_size": 4})
        upload(engine, frames=workspace.draw("in", range(4)))
        backend = engine.backend()
        (first,) = backend.jobs()
        boxes = {name: (Box("person", (4.0, 4.0, 12.0, 10.0)),) for name in first.frame_names}
        backend.put_annotations(first.id, boxes, stage="validation", state="completed")
        accept(engine, [first.id])
        export(engine)
        with engine.database.read() as connection:
            frames = footage.frames_by_id(connection, requeued.held(connection))
        chosen = sorted(frame.name for frame in frames.values())[:2]
        report = requeue(engine, frames=chosen, reason="are these people?", by="lea")
        assert (report.data["tasks"], report.data["frames"], report.data["questions"]) == (1, 2, 2)
        (job,) = (job for job in backend.jobs() if job.id != first.id)
        assert [(issue.message, issue.author) for issue in backend.issues(job.id)] == [("are these people?", "lea")] * 2
        shown = backend.annotations(job.id).boxes
        assert [box.xywh for rows in shown.values() for box in rows] == [(4.0, 4.0, 12.0, 10.0)] * 2
        moved = {
            name: (Box("helmet", (4.0, 4.0, 12.0, 10.0), None, rows[0].proposal_id),) for name, rows in shown.items()
        }
        backend.put_annotations(job.id, moved, stage="validation", state="completed")
        assert export(engine).data["new"] is False
        accept(engine, [job.id])
        assert export(engine).data["boxes"] == 4
        assert export(engine).data["new"] is False
        assert requeue(engine, name="helmet").data["frames"] == 2
