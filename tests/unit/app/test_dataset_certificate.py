"""Certificates say what the rows say: recomputed, restored, and told where they show a leak or cannot rule it out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from drawn_workspace import draw

from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.dataset_certificate import certificate
from data_engine.app.dataset.dataset_golden import golden
from data_engine.app.dataset.dataset_revert import revert
from data_engine.app.dataset.dataset_verify import verify
from data_engine.app.merge.dataset_import import Wanted, import_dataset
from data_engine.app.merge.export import export
from data_engine.app.status import status
from data_engine.lineage.tables import accepted, dataset_frames, frames

EVERY = {"upload": {"job_size": 100}}


@pytest.fixture
def engine(workspace):
    """A workspace with a series of which every fourth picture is in version 1."""
    made = workspace.open(**EVERY)
    grow(workspace, made, range(0, 300, 4))
    return made


def grow(workspace, engine, seeds):
    upload(engine, frames=workspace.draw("in", seeds, numbered=True))
    workspace.annotate(engine)
    return export(engine)


def a_dataset(folder: Path) -> Path:
    draw(folder / "bees" / "images" / "p1.jpg", 999)
    document = {
        "images": [{"id": 1, "file_name": "p1.jpg", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 2, 12, 20]}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (folder / "bees" / "labels.json").write_text(json.dumps(document))
    return folder / "bees"


def file_of(engine, number: int) -> Path:
    return engine.root / "master_dataset" / f"certificate_v{number}.json"


@pytest.mark.parametrize("harm", ["gone", "edited"])
def test_verify_counts_it_anew_and_restores_it(workspace, engine, harm):
    file = file_of(engine, 1)
    before = file.read_bytes()
    assert verify(engine).data["certificates"] == 1
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(before.replace(b'"sources": 1', b'"sources": 2', 1))
        assert file.read_bytes() != before
    report = verify(engine)
    why = {"gone": "is not there", "edited": "says other counts than the rows of v1 do"}[harm]
    assert [(f.input_id, f.reason) for f in report.failures] == [("master_dataset/certificate_v1.json", why)]
    assert (report.failure_code, report.next) == (4, "dataengine dataset verify --repair")
    # What was edited is not built on either.
    grow(workspace, engine, range(2, 300, 8))
    assert {f.input_id for f in verify(engine).failures} == {"master_dataset/certificate_v1.json"}
    repaired = verify(engine, repair=True)
    assert (repaired.failures, len(repaired.notes)) == ((), 1)
    assert file.read_bytes() == before
    assert verify(engine).data["sound"]


def test_rows_that_were_edited_make_no_certificate(engine):
    before = file_of(engine, 1).read_bytes()
    with engine.database.write() as connection:
        held = dataset_frames.c.split == "guard"
        connection.execute(sa.update(dataset_frames).where(held).values(split="train"))
    report = verify(engine, repair=True)
    assert "says other counts than the rows of v1 do" in {failure.reason for failure in report.failures}
    assert file_of(engine, 1).read_bytes() == before


def test_a_leak_is_told_by_what_makes_the_version_and_by_status(workspace, engine, tmp_path):
    assert not [note for note in status(engine).notes if "certificate" in note]
    with engine.database.write() as connection:
        held = dataset_frames.c.split == "guard"
        connection.execute(sa.update(dataset_frames).where(held).values(split="train"))
    report = grow(workspace, engine, range(2, 300, 40))
    (note,) = [note for note in report.notes if "certificate" in note]
    assert note.startswith("the certificate of v2 is not sound: ")
    assert note.endswith("; see: dataengine dataset certificate v2")
    assert note in status(engine).notes
    assert note in verify(engine).notes
    # Whatever makes the next version says so of it.
    made = golden(workspace.open(**EVERY, golden={"fraction": 0.1, "min_per_class": 0}))
    assert made.data["new"]
    reports = {"v3": made, "v4": revert(engine, "v1"), "v5": import_dataset(engine, a_dataset(tmp_path), Wanted())}
    for version, report in reports.items():
        assert report.data["version"] == version
        (note,) = [note for note in report.notes if "certificate" in note]
        assert note.startswith(f"the certificate of {version} is not sound: ")


def test_what_cannot_be_told_is_counted_and_is_not_called_sound(workspace, engine):
    with engine.database.read() as connection:
        query = sa.select(frames.c.id).join(dataset_frames).where(dataset_frames.c.split == "valid")
        judged = list(connection.scalars(query.order_by(frames.c.id)))
    with engine.database.write() as connection:
        # One look at many moments, as a camera that stands shows it; lone pictures of another source show it, too.
        connection.execute(sa.update(frames).where(frames.c.id.in_(judged)).values(dhash=77))
    upload(engine, frames=workspace.draw("lone", range(400, 420)))
    with engine.database.write() as connection:
        new = frames.c.key.startswith("lone/")
        connection.execute(sa.update(frames).where(new).values(dhash=77))
    workspace.annotate(engine)
    report = export(engine)
    said = json.loads(file_of(engine, 2).read_bytes())["near_duplicates"]
    # They follow what they look like; then some are put on the other side by hand.
    assert said["exempt_pairs"] == 0
    with engine.database.write() as connection:
        lone = sa.select(frames.c.id).where(frames.c.key.startswith("lone/")).order_by(frames.c.id).limit(3)
        rows = dataset_frames.c.frame_id.in_(list(connection.scalars(lone)))
        connection.execute(sa.update(dataset_frames).where(rows).values(split="train"))
    report = certificate(engine)
    found = report.data["certificate"]["near_duplicates"]
    assert found["exempt_pairs"] == 3 * len(judged)
    assert report.data["near_duplicates_not_counted"] == found["exempt_pairs"]
    assert report.data["sound"] is False
    assert any("not counted: a static camera shows that look again and again" in note for note in report.notes)
    # Among themselves these pictures have no moments, and lie on two sides.
    assert found["across_sides"] == 3 * 17


def test_pictures_of_all_versions_are_hashed_once_each(workspace, engine):
    with engine.database.read() as connection:
        key = connection.scalar(sa.select(frames.c.key).order_by(frames.c.id).limit(1))
    grow(workspace, engine, range(2, 300, 8))
    with engine.database.write() as connection:
        # It left with the second version.
        for table in (dataset_frames, accepted):
            gone = table.c.frame_id.in_(sa.select(frames.c.id).where(frames.c.key == key))
            connection.execute(sa.update(table).where(gone).values(until=2))
    engine.storage.delete(key)
    reasons = [f.reason for f in verify(engine, pictures=True).failures if f.input_id == key]
    assert reasons == [f"{key} is not there"]
    assert not [f for f in verify(engine, "v2", pictures=True).failures if f.input_id == key]
