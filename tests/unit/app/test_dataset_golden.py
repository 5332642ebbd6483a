"""The golden set through the commands: whole blocks, frozen, never trained on, and certified."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from data_engine.app.annotation.upload import upload
from data_engine.app.dataset import dataset_golden, dataset_revert
from data_engine.app.dataset.convert import convert
from data_engine.app.dataset.dataset_certificate import certificate
from data_engine.app.dataset.dataset_golden import golden
from data_engine.app.merge.export import export
from data_engine.app.models.evaluation_sets import evaluation_set
from data_engine.app.models.golden_metrics import refuse_golden
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import datasets, held_out
from data_engine.lineage.tables import dataset_frames, models

EVERY = {"upload": {"job_size": 100}, "golden": {"min_per_class": 3}}


@pytest.fixture
def engine(workspace):
    """A workspace with a series of which every fourth picture is in version 1."""
    made = workspace.open(**EVERY, convert={"format": "yolo"})
    grow(workspace, made, range(0, 300, 4))
    return made


def grow(workspace, engine, seeds) -> None:
    upload(engine, frames=workspace.draw("in", seeds, numbered=True))
    workspace.annotate(engine)
    export(engine)


def sides(engine) -> dict[str, str]:
    """Of the newest version, by frame."""
    with engine.database.read() as connection:
        held = datasets.frames_of(connection, datasets.latest(connection).number)
    return {frame: entry.split for frame, entry in held.items()}


def in_file(engine, name: str) -> set[str]:
    read = json.loads((engine.root / "master_dataset" / name).read_bytes())
    return {image["frame_id"] for image in read["images"]}


def test_more_than_was_asked_for_is_said_with_the_reason(engine):
    report = golden(engine)
    held = [frame for frame, side in sides(engine).items() if side == "golden"]
    assert (report.data["frames"], report.data["frames_wanted"], report.data["share_wanted"]) == (len(held), 4, 0.05)
    assert len(held) > 4
    (note,) = [note for note in report.notes if "was asked for" in note]
    assert note.startswith(f"{len(held) / 75:.3g} of the frames are golden where 0.05 was asked for: blocks of time")
    assert note.endswith("added until every class has 3 boxes")


def train_a_model(engine, version: int) -> None:
    with engine.database.write() as connection:
        identity = connection.scalar(sa.text("select id from dataset_versions where number = :n"), {"n": version})
        row = {"id": "m" * 32, "kind": "yolo", "key": "m.onnx", "class_names": ["person"], "metrics": {}}
        connection.execute(
            sa.insert(models), [{**row, "dataset_version_id": identity, "registered_at": "2026-01-01T00:00:00+00:00"}]
        )


def test_it_is_frozen_kept_apart_and_grows_with_its_blocks(workspace, engine):
    before = sides(engine)
    report = golden(engine)
    after = sides(engine)
    kept = {frame for frame, side in after.items() if side == "golden"}
    assert report.data["version"] == "v2"
    assert report.data["frames"] == len(kept) > 0
    assert min(row["boxes"] for row in report.rows) >= 3
    assert {(before[frame], after[frame]) for frame in before if before[frame] != after[frame]} <= {
        ("valid", "golden"),
        ("train", "golden"),
        ("train", "guard"),
    }
    assert in_file(engine, "golden.json") == kept
    assert in_file(engine, "train.json") == {frame for frame, side in after.items() if side == "train"}
    assert "valid" in after.values()
    # Again: it is what was asked for.
    again = golden(engine)
    assert (again.data["new"], again.data["frames"], again.data["complete"]) == (False, len(kept), True)
    grow(workspace, engine, range(2, 300, 5))
    now = sides(engine)
    assert all(now[frame] == side for frame, side in after.items())
    more = {frame for frame, side in now.items() if side == "golden"}
    assert more > kept
    assert in_file(engine, "golden.json") == more
    # More of it is wanted.
    wider = workspace.open(**{**EVERY, "golden": {"fraction": 0.4}})
    assert golden(wider).data["frames"] > len(more)
    assert {frame for frame, side in sides(engine).items() if side == "golden"} > more
    assert certificate(engine).data["sound"] is True
    assert {path.name for path in (engine.root / "master_dataset").glob("certificate_*")} == {
        f"certificate_v{number}.json" for number in range(1, 5)
    }


def test_nothing_that_trains_or_tunes_is_given_golden_frames(engine):
    golden(engine)
    kept = {frame for frame, side in sides(engine).items() if side == "golden"}
    convert(engine)
    written = [path.stem for path in (engine.root / "final_labels").rglob("*.jpg")]
    assert written
    assert not [name for name in written if any(frame[:8] in name for frame in kept)]
    master = engine.root / "master_dataset"
    with pytest.raises(UsageError, match="golden set"):
        convert(engine, input=master / "golden.json", output=engine.root / "out/train")
    convert(engine, input=master / "master_dataset_v2.json", output=engine.root / "whole")
    convert(engine, input=master / "master_dataset_v2.json", output=engine.root / "one/train")
    names = [path.stem for folder in ("whole", "one") for path in (engine.root / folder).rglob("*.jpg")]
    assert names
    assert not [name for name in names if any(frame[:8] in name for frame in kept)]
    with engine.database.read() as connection:
        assert not kept & set(held_out.frames(connection, None, 1000))
        assert set(held_out.golden(connection)) == kept
        assert not kept & {box.frame_id for box in datasets.boxes_of_class(connection, 2, 1, 1000)}
    on = evaluation_set(engine, "golden")
    assert ({frame.id for frame in on.frames}, on.missing) == (kept, 0)
    assert sum(map(len, on.boxes.values())) == golden(engine).data["boxes"]


def test_what_a_model_has_seen_is_refused_by_name(workspace, engine):
    train_a_model(engine, 1)
    with engine.database.write() as connection:
        # Nothing to spare on the validation side.
        held = (dataset_frames.c.split == "valid") & dataset_frames.c.until.is_(None)
        connection.execute(sa.update(dataset_frames).where(held).values(split="guard"))
    with pytest.raises(ConflictError, match=r"seen by mmmmmmmm \(v1\)"):
        golden(engine)
    assert "golden" not in sides(engine).values()
    # Frames that came after its version are another matter.
    upload(engine, frames=workspace.draw("other", range(300, 420, 3), numbered=False))
    workspace.annotate(engine)
    export(engine)
    assert golden(engine).data["frames"] > 0
    certified = certificate(engine)
    assert certified.data["models_trained_on_golden"] == 0
    with engine.database.read() as connection:
        refused = datasets.versions(connection)[1]
    # A model of the version before the golden one would have seen some of it.
    train = {frame for frame, side in sides(engine).items() if side == "golden"}
    with engine.database.write() as connection:
        rows = dataset_frames.c.frame_id.in_(train) & (dataset_frames.c.since == 2)
        connection.execute(sa.update(dataset_frames).where(rows).values(split="train"))
        connection.execute(sa.update(models).values(dataset_version_id=refused.id))
    with pytest.raises(ConflictError, match="are golden by now"):
        refuse_golden(engine, "final_labels/yolo", refused)
    assert any("was trained on" in failure.reason for failure in certificate(engine).failures)


def test_a_dataset_that_can_spare_nothing_says_so(workspace):
    engine = workspace.open(upload={"job_size": 100}, export={"valid_fraction": 0.0})
    with pytest.raises(MissingInputError, match="no dataset version yet"):
        golden(engine)
    grow(workspace, engine, range(2))
    train_a_model(engine, 1)
    with pytest.raises(ConflictError, match="were seen by"):
        golden(engine)


def test_a_kill_between_the_record_and_the_files_ends_as_an_undisturbed_call(workspace, engine, monkeypatch):
    class KilledError(Exception):
        pass

    def dies(*_args):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(dataset_golden, "write_version", dies)
        with pytest.raises(KilledError):
            golden(engine)
    with engine.database.write() as connection:
        # A process that is killed does not say so.
        connection.execute(sa.text("update runs set state = 'running' where stage = 'dataset golden'"))
    assert not (engine.root / "master_dataset/golden.json").exists()
    report = golden(engine)
    assert (report.data["version"], report.data["new"]) == ("v2", False)
    assert in_file(engine, "golden.json") == {frame for frame, side in sides(engine).items() if side == "golden"}
    with engine.database.read() as connection:
        states = connection.execute(sa.text("select state from runs where stage = 'dataset golden'")).all()
    assert [tuple(row) for row in states] == [("done",)]


def test_golden_stays_golden_when_an_older_version_is_restored(engine):
    golden(engine)
    kept = {frame for frame, side in sides(engine).items() if side == "golden"}
    dataset_revert.revert(engine, "v1")
    assert {frame for frame, side in sides(engine).items() if side == "golden"} == kept


@pytest.mark.parametrize("harm", ["file", "row"])
def test_a_certificate_that_does_not_hold_is_told(engine, harm):
    report = certificate(engine)
    assert (report.data["sound"], report.failures) == (True, ())
    assert report.data["near_duplicates_across_sides"] == 0
    assert report.data["train_frames"] + report.data["valid_frames"] + report.data["guard_frames"] == 75
    file = engine.root / "master_dataset/certificate_v1.json"
    if harm == "file":
        file.write_text(file.read_text("utf-8").replace('"pairs_compared": ', '"pairs_compared": 1'), "utf-8")
        wanted = ["says other counts than the rows do"]
    else:
        with engine.database.write() as connection:
            held = dataset_frames.c.split == "guard"
            connection.execute(sa.update(dataset_frames).where(held).values(split="train"))
        wanted = ["of the training side nearer than the guard", "says other counts than the rows do"]
    found = certificate(engine)
    assert found.data["sound"] is False
    assert len(found.failures) == len(wanted)
    for failure, text in zip(found.failures, wanted, strict=True):
        assert text in failure.reason
