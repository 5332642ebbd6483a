"""What the wheel, versions and lineage pages show: what the commands say, and no annotation server is asked."""

from __future__ import annotations

import shutil

import pytest
import sqlalchemy as sa
from test_lineage_purge import SETTINGS
from test_sample_command import film

from data_engine.annotation.local import LocalBackend
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset import version_look
from data_engine.app.dataset.dataset_certificate import certificate_key
from data_engine.app.dataset.dataset_diff import diff
from data_engine.app.footage.frame_look import look
from data_engine.app.footage.sample import sample
from data_engine.app.lineage.lineage_graph import graph_of, search
from data_engine.app.merge.export import export
from data_engine.app.pages import wheel
from data_engine.app.rounds.report import gathered
from data_engine.app.selection.filter import filter_frames
from data_engine.app.status import status
from data_engine.errors import MissingInputError
from data_engine.lineage import datasets
from data_engine.lineage.tables import metadata, promotions


@pytest.fixture
def engine(workspace, round_once):
    shutil.copytree(round_once, workspace.root, dirs_exist_ok=True)
    return workspace.open(**SETTINGS)


@pytest.fixture
def grown(workspace, engine):
    """The same with another version, of one more video."""
    film(workspace.root / "videos_raw" / "yard" / "d.mp4", [8, 9])
    sample(engine)
    filter_frames(engine)
    upload(engine)
    workspace.annotate(engine)
    export(engine)
    return engine


def newest(engine):
    with engine.database.read() as connection:
        return datasets.latest(connection)


def crown(engine, version_id: str) -> str:
    """Put a model that was trained on this version in use, as far as lineage tells."""
    models = metadata.tables["models"]
    with engine.database.write() as connection:
        identity = connection.scalar(sa.select(models.c.id).where(models.c.dataset_version_id.is_not(None)))
        connection.execute(sa.update(models).where(models.c.id == identity).values(dataset_version_id=version_id))
        row = {"number": 1, "action": "crowned", "kind": "yolo", "model_id": identity, "placed": True}
        connection.execute(sa.insert(promotions), [{**row, "at": "2026-01-01", "detail": {}}])
    return identity


def test_the_flow_is_what_status_says_without_asking_where_people_annotate(engine, monkeypatch):
    said = status(engine)
    monkeypatch.setattr(LocalBackend, "jobs", lambda *_given: pytest.fail("the backend was asked"))
    found = wheel.flow(engine)
    assert [(step.name, step.count, step.detail) for step in found.steps] == [
        (row["step"].strip(), row["count"], row["detail"]) for row in said.rows
    ]
    assert found.next == said.next
    assert [step.name for step in found.steps if step.within] == [
        row["step"].strip() for row in said.rows if row["step"].startswith(" ")
    ]
    assert len(found.runs) == 5


def test_what_is_wrong_is_warned_of_with_the_page_behind(grown):
    engine = grown
    version = newest(engine)
    kinds = [concern.kind for concern in wheel.flow(engine).warnings]
    assert "stale model" not in kinds
    engine.storage.delete(certificate_key(version.number))
    crown(engine, version.parent_id)
    found = {concern.kind: concern for concern in wheel.flow(engine).warnings}
    assert found["leak"].text == f"{version.label} has no certificate: whether it leaks is not known"
    assert found["leak"].link == f"/versions/{version.label}"
    assert found["stale model"].text.endswith(f"was trained on v{version.number - 1}: 1 version behind")


def test_a_model_of_the_newest_version_is_not_behind(engine):
    crown(engine, newest(engine).id)
    assert "stale model" not in [concern.kind for concern in wheel.flow(engine).warnings]


def test_jobs_that_look_as_if_nobody_looked_are_named_with_their_page(engine, monkeypatch):
    from data_engine.app.annotation import audit
    from data_engine.types import Report

    told = Report("", notes=("job 12 (ann): nothing was changed on 5 frames in 0.1 min", "and 3 more like these"))
    monkeypatch.setattr(audit, "audit", lambda _engine, *, since: told)
    assert [(concern.text, concern.link) for concern in wheel.looked(engine)] == [
        (told.notes[0], "/review/12"),
        (told.notes[1], ""),
    ]
    before = wheel.looked_stamp(engine)
    with engine.database.write() as connection:
        connection.execute(sa.delete(metadata.tables["job_changes"]))
    assert wheel.looked_stamp(engine) != before


def test_rounds_classes_and_people_are_those_of_the_report(engine):
    said = gathered(engine, [], evaluate=False)
    found = wheel.history(engine)
    assert {name: said[name] for name in found} == found
    assert found["class_balance"]["to"] == newest(engine).label


def test_what_two_versions_hold_differently_is_what_diff_says(grown):
    engine = grown
    with engine.database.read() as connection:
        first, second = datasets.versions(connection)[:2]
    said = diff(engine, first.label, second.label)
    found = version_look.compared(engine, first, second)
    assert found.title == said.title
    every = list(said.every_row())
    assert {(row["frame_id"], row["change"]) for row in every} == {
        (frame_id, kind) for kind, rows in found.frames.items() for frame_id, _before, _after in rows
    }
    differing = [differs for rows in found.frames.values() for differs in rows]
    assert differing
    shown = version_look.pictured(engine, first, second, differing)
    assert [one.frame.id for one in shown] == [differs[0] for differs in differing]
    boxes = {row["frame_id"]: row["boxes"] for row in every}
    for one in shown:
        assert len(one.before) == sum(box["class_before"] is not None for box in boxes[one.frame.id])
        assert len(one.after) == sum(box["class_after"] is not None for box in boxes[one.frame.id])


def test_a_frame_is_shown_with_every_box_of_every_layer(engine):
    with engine.database.read() as connection:
        boxes = datasets.boxes_of(connection, newest(engine).number)
    frame_id = next(iter(boxes))
    seen = look(engine, frame_id)
    assert sorted(box.id for box in seen.boxes if box.layer == "accepted") == sorted(box.id for box in boxes[frame_id])
    assert {box.layer for box in seen.boxes} >= {"accepted", "prediction"}
    assert {box.label for box in seen.boxes} == set(seen.labels)
    assert seen.jobs
    assert seen.versions
    neighbour = look(engine, seen.after or seen.before)
    assert frame_id in (neighbour.before, neighbour.after)


def test_lineage_is_asked_by_kind_and_id_only(engine, monkeypatch):
    version = newest(engine)
    graph = graph_of(engine, f"version:{version.id}", ways="up", depth=1)
    assert graph.root == f"version:{version.id}"
    assert graph.up
    assert not graph.down
    used = crown(engine, version.id)
    assert graph_of(engine, f"model:{used}").nodes[f"model:{used}"].label.endswith(", in use")
    (job,) = search(engine, "job 1")
    assert job.kind == "job"
    assert search(engine, " ") == []
    for text in ("", "frame", "frame:", "nothing:1", f"frame:{engine.root / 'dataengine.toml'}", "versions:v1"):
        with pytest.raises(MissingInputError):
            graph_of(engine, text)
    assert search(engine, str(engine.root / "dataengine.toml")) == []
