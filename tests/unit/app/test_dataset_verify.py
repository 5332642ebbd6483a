"""``dataset verify`` and ``checkout``: every hash and count recomputed, every file as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from test_export_versions import UPLOAD, accept_again, moved, write_truth

from data_engine.app.annotation.review import accept, reject
from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.dataset_checkout import checkout
from data_engine.app.dataset.dataset_verify import verify
from data_engine.app.merge.export import export
from data_engine.errors import ConflictError, UsageError
from data_engine.lineage.tables import accepted, dataset_frames, dataset_versions, frames


@pytest.fixture
def engine(workspace):
    """A workspace with three versions: two frames, four, and four of which two changed."""
    made = workspace.open(upload=UPLOAD)
    upload(made, frames=workspace.draw("in", range(8)))
    accept_again(made, 1)
    export(made)
    accept_again(made, 2)
    export(made)
    reject(made, 1, "look again", by="rev")
    write_truth(made, 1, moved)
    accept(made, [1], by="rev")
    export(made)
    return made


@pytest.fixture
def folder(workspace) -> Path:
    return workspace.root / "master_dataset"


def wrong(report) -> dict[str, str]:
    assert report.failure_code == 4
    return {failure.input_id.rpartition("/")[2]: failure.reason for failure in report.failures}


def edit(engine, statement) -> None:
    with engine.database.write() as connection:
        connection.execute(statement)


def test_what_was_written_is_sound(engine):
    report = verify(engine, pictures=True)
    assert report.title == "3 versions, v1 to v3: all sound"
    assert (report.failures, report.data["versions"], report.data["frames"]) == ((), 3, 4)
    # Of each version its own file, of the newest also those of its sides.
    assert (report.data["files"] - 3, report.data["pictures"]) == (len(list(sides())), 4)
    assert verify(engine, "v1").data["sound"]


def sides():
    from data_engine.app.dataset.version_files import SIDES

    return SIDES


def test_a_file_edited_by_hand_or_gone_is_named_and_written_anew(engine, folder):
    first, second, train = (
        folder / name for name in ("master_dataset_v1.json", "master_dataset_v2.json", "train.json")
    )
    before = [path.read_bytes() for path in (first, second, train)]
    first.write_bytes(before[0].replace(b'"iscrowd":0', b'"iscrowd":1', 1))
    at = before[0].index(b'"iscrowd":0') + len(b'"iscrowd":')
    second.unlink()
    train.write_bytes(before[2][:-5])
    found = wrong(verify(engine))
    assert found == {
        first.name: f"differs from what v1 holds, first at byte {at} of {len(before[0])}",
        second.name: "is not there",
        train.name: f"differs from what v3 holds, first at byte {len(before[2]) - 5} of {len(before[2]) - 5}",
    }
    assert set(wrong(verify(engine, "v2"))) == {second.name}
    report = verify(engine, repair=True)
    assert (report.failures, len(report.notes)) == ((), 3)
    assert [path.read_bytes() for path in (first, second, train)] == before


def test_a_file_of_an_earlier_release_is_told_and_written_anew(engine, folder):
    first = folder / "master_dataset_v1.json"
    now = first.read_bytes()
    document = json.loads(now)
    for number, annotation in enumerate(document["annotations"], 1):
        annotation["id"] = number
    first.write_text(json.dumps(document, separators=(",", ":")))
    assert "was written by an earlier release" in wrong(verify(engine))[first.name]
    assert verify(engine, repair=True).failures == ()
    assert first.read_bytes() == now


def test_a_picture_that_moved_makes_no_version_another(engine, folder):
    edit(engine, sa.update(frames).values(key=sa.literal("elsewhere/") + frames.c.name, camera="renamed"))
    assert verify(engine).data["sound"]
    first = folder / "master_dataset_v1.json"
    first.write_bytes(first.read_bytes().replace(b'"iscrowd":0', b'"iscrowd":1', 1))
    assert set(wrong(verify(engine))) == {first.name}
    first.write_bytes(b"")
    assert set(wrong(verify(engine))) == {first.name}


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (sa.update(accepted).where(accepted.c.since == 2).values(x=accepted.c.x + 1), {"v2 frame"}),
        (sa.delete(accepted).where(accepted.c.since == 2), {"v2", "v2 frame", "v3"}),
        (sa.update(dataset_frames).where(dataset_frames.c.since == 3).values(content="0" * 32), {"v3", "v3 frame"}),
        (sa.update(dataset_frames).where(dataset_frames.c.since == 2).values(split="guard"), {"v2", "v3"}),
        (sa.update(dataset_versions).where(dataset_versions.c.number == 2).values(boxes=99), {"v2"}),
        (sa.update(dataset_versions).where(dataset_versions.c.number == 1).values(frames=1), {"v1"}),
        (sa.update(accepted).where(accepted.c.since == 1).values(until=None), {"v3", "v3 frame"}),
        (sa.update(dataset_frames).where(dataset_frames.c.until == 3).values(until=2), {"v2", "v1 frame"}),
    ],
    ids=["box moved", "boxes gone", "content", "side", "boxes counted", "frames counted", "box outlives", "gap"],
)
def test_a_row_edited_by_hand_is_named_and_no_file_is_made_of_it(engine, folder, statement, named):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    edit(engine, statement)
    report = verify(engine, repair=True)
    rows = [f.input_id for f in report.failures if not f.input_id.endswith(".json")]
    assert {row.rsplit(" ", 1)[0] for row in rows} == named
    assert report.failure_code == 4
    assert not report.data["sound"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_box_that_was_edited_by_hand_from_a_version_on_is_found_in_its_file(engine):
    """No frame says that anything changed there, and the places are the same: only who drew one is another."""
    with engine.database.write() as connection:
        row = connection.execute(sa.select(accepted).where(accepted.c.since == 1, accepted.c.until == 3)).mappings()
        first = dict(row.first())
        mine = (accepted.c.id == first["id"]) & (accepted.c.since == 1)
        connection.execute(sa.update(accepted).where(mine).values(until=2))
        connection.execute(sa.insert(accepted), [{**first, "since": 2, "annotator": "somebody else"}])
    found = wrong(verify(engine))
    assert "master_dataset_v1.json" not in found
    assert found["master_dataset_v2.json"].startswith("differs from what v2 holds")


def test_a_picture_that_is_gone_or_another(engine, workspace):
    first, second = sorted((workspace.root / "in").iterdir())[:2]
    first.unlink()
    second.write_bytes(second.read_bytes() + b"\0")
    assert verify(engine).data["sound"]
    found = wrong(verify(engine, pictures=True))
    assert set(found) == {first.name, second.name}
    assert found[first.name].endswith("is not there")
    assert found[second.name] == "is not the picture that was recorded: its SHA-256 is another"


def test_any_version_is_checked_out_as_it_was_written(engine, folder, tmp_path):
    then = folder / "master_dataset_v1.json"
    report = checkout(engine, "v1", tmp_path / "out")
    assert (report.data["version"], report.data["frames"]) == ("v1", 2)
    assert (tmp_path / "out" / then.name).read_bytes() == then.read_bytes()
    # The newest's sides are those of the workspace, and what the earlier checkout wrote makes room.
    checkout(engine, "v3", tmp_path / "out")
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.name[0] != "."}
    assert found == {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name in {"master_dataset_v3.json", *(f"{side}.json" for side in sides())}
    }


def test_a_checkout_writes_over_nothing_of_anybody_else(engine, workspace, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "train.json").write_text("mine")
    with pytest.raises(ConflictError, match=r"train\.json that checkout did not write"):
        checkout(engine, "v1", out)
    assert [path.name for path in out.iterdir()] == ["train.json"]
    (out / "train.json").unlink()
    checkout(engine, "v1", out)
    (out / "valid.json").write_text("edited")
    with pytest.raises(ConflictError, match=r"valid\.json in .* was changed since"):
        checkout(engine, "v2", out)
    assert (out / "valid.json").read_text() == "edited"
    with pytest.raises(UsageError, match="where the versions of this workspace lie"):
        checkout(engine, "v1", workspace.root / "master_dataset")
    with pytest.raises(UsageError, match="is a file"):
        checkout(engine, "v1", out / "train.json")
