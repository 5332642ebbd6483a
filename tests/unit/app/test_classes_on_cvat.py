"""After a change of classes a CVAT server's labels mean what they meant: nothing is removed there, nobody is asked."""

from __future__ import annotations

import uuid

import pytest

from data_engine.app.annotation.review import accept
from data_engine.app.annotation.sync import sync
from data_engine.app.annotation.upload import upload
from data_engine.app.classes import class_changes
from data_engine.app.merge.export import export
from data_engine.app.models.models import registered_classes
from data_engine.lineage import class_boxes
from data_engine.types import Box

pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
from cvat_server import ADMIN, CvatServer

pytestmark = pytest.mark.required


@pytest.fixture(scope="module")
def server():
    with CvatServer(seed=8) as running:
        yield running


@pytest.fixture
def engine(workspace, server):
    project = f"classes {uuid.uuid4().hex[:8]}"
    account = {"url": server.url, "username": ADMIN[0], "password": ADMIN[1], "project": project}
    made = workspace.open(annotation={"backend": "cvat"}, cvat=account, upload={"job_size": 2})
    upload(made, frames=workspace.draw("in", range(4)))
    return made


def draw(engine, job: int, label: str) -> None:
    """What an annotator draws on every frame of a job, and the reviewer accepts."""
    backend = engine.backend()
    names = backend.job(job).frame_names
    boxes = {name: (Box(label, (4.0, 4.0, 12.0, 10.0)),) for name in names}
    backend.put_annotations(job, boxes, stage="validation", state="completed")


def counts(engine) -> dict[int, int]:
    with engine.database.read() as connection:
        return class_boxes.counts(connection)


def test_labels_by_old_and_new_names_are_one_class(engine, workspace):
    first, second = (job.id for job in engine.backend().jobs())
    draw(engine, first, "helmet")
    accept(engine, [first])
    export(engine)
    class_changes.rename(engine, "helmet", "hard hat")
    class_changes.merge(engine, ["person"], "hard hat")
    assert registered_classes(engine).names == ("hard hat",)
    # Under the label that the server still has.
    draw(engine, second, "helmet")
    accept(engine, [second])
    export(engine)
    assert counts(engine) == {2: 4}
    upload(engine, frames=workspace.draw("more", range(10, 12)))
    (third,) = (job.id for job in engine.backend().jobs() if job.id not in (first, second))
    draw(engine, third, "hard hat")
    accept(engine, [third])
    export(engine)
    assert counts(engine) == {2: 6}
    assert sync(engine).failures == ()
    assert export(engine).data["new"] is False


def test_a_retired_label_that_is_drawn_all_the_same_is_told(engine):
    first, second = (job.id for job in engine.backend().jobs())
    draw(engine, first, "person")
    draw(engine, second, "helmet")
    accept(engine, [first])
    export(engine)
    class_changes.retire(engine, "helmet")
    accept(engine, [second])
    report = export(engine)
    assert report.data["left_out"] == {"box of the retired class 'helmet'": 2}
    assert (report.data["frames"], report.data["boxes"]) == (4, 2)
