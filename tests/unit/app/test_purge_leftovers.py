"""What ``lineage purge`` finds where nobody would look, what it leaves and names, and what is counted afterwards."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import cv2
import pytest
import sqlalchemy as sa
from test_lineage_purge import SETTINGS, frames_of, latest, nothing_left, sure
from test_sample_command import film

from data_engine.app.annotation.upload import upload
from data_engine.app.dataset.dataset_certificate import certificate
from data_engine.app.dataset.dataset_golden import golden
from data_engine.app.dataset.dataset_log import log
from data_engine.app.dataset.dataset_revert import revert
from data_engine.app.dataset.dataset_verify import verify
from data_engine.app.footage.sample import sample
from data_engine.app.lineage.lineage_purge import purge
from data_engine.app.lineage.lineage_show import show
from data_engine.app.merge.export import export
from data_engine.lineage import migrate, tombstones
from data_engine.lineage.tables import accepted, dataset_frames, golden_blocks, split_plans
from data_engine.lineage.tables import tombstones as stones


@pytest.fixture
def engine(workspace, round_once):
    """A copy of the workspace that went round the loop."""
    shutil.copytree(round_once, workspace.root, dirs_exist_ok=True)
    return workspace.open(**SETTINGS)


def boxes_of(engine, frames) -> dict[str, tuple[float, ...]]:
    with engine.database.read() as connection:
        rows = connection.execute(sa.select(accepted).where(accepted.c.frame_id.in_([f.id for f in frames]))).all()
    return {row.id: (row.x, row.y, row.w, row.h) for row in rows}


def nothing_of_boxes(engine, boxes) -> None:
    """No file has the id of a box, or the first digits of it that people are shown."""
    for path in sorted(engine.root.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        assert not [box for box in boxes if box[:12].encode() in data], path


def test_copies_under_other_names_go(engine):
    frames = frames_of(engine, "secret one")
    frame, boxes, root = frames[0], boxes_of(engine, frames), engine.root
    pictures = [engine.storage.read_bytes(one.key) for one in frames]
    assert boxes
    for name in ("mybackup.db", "notes/2026.sqlite3.bak"):
        (root / name).parent.mkdir(exist_ok=True)
        with (
            closing(sqlite3.connect(root / ".dataengine/lineage.db")) as own,
            closing(sqlite3.connect(root / name)) as to,
        ):
            own.backup(to)
    (annotated,) = [path for path in root.rglob("annotations.json") if frame.id[:8] in path.read_text()]
    for name in ("annotations.json.bak", "annotations.json~"):
        shutil.copy(annotated, annotated.with_name(name))
    shutil.copy(annotated, root / "master_dataset" / "copy.json")
    (root / "notes" / "picture.bin").write_bytes(pictures[0])
    (root / "notes" / f"{Path(frame.name).stem}.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (root / "notes" / f"{frame.name}.json.bak").write_text('{"boxes": [[1, 2, 3, 4]]}')
    (root / "notes" / "boxes.jsonl").write_text(f'{{"file": "{frame.name}", "box": [1, 2]}}\n{{"file": "other"}}\n')
    box = next(iter(boxes))
    for name in ("box.mmd", "box.md", "box.txt", "box.json"):
        show(engine, ["box", box], output=root / "notes" / name)
    x, y, w, h = boxes[box]
    said = {"command": "lineage show", "message": f"finished: box {box[:12]} person, {w:g} x {h:g} at {x:g},{y:g}"}
    logged = [
        {**said, "report": {"nodes": [{"id": f"box:{box}", "facts": {"xywh": [x, y, w, h]}}]}},
        {"message": "other"},
    ]
    page = root / "logs" / "lineage-show-2026-01-01.jsonl"
    page.write_text("".join(f"{json.dumps(line)}\n" for line in logged))
    size = page.stat().st_size
    report = purge(engine, video="secret one", sure=sure)
    assert report.failures == ()
    nothing_left(engine, frames, pictures)
    nothing_of_boxes(engine, boxes)
    assert not list(root.glob("*.db"))
    assert report.data["files_removed"]["copy of the database"] == 2
    assert [path.name for path in sorted((root / "notes").iterdir())] == ["boxes.jsonl"]
    assert (root / "notes" / "boxes.jsonl").read_text() == '{"file": "other"}\n'
    lines = [json.loads(line) for line in page.read_text().splitlines()]
    assert ([line["message"] for line in lines], page.stat().st_size) == (["purged", "other"], size)


def packed(kind: str, data: bytes, inside: str) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(inside, data)
    elif kind == "gz":
        out.write(gzip.compress(data))
    else:
        with tarfile.open(fileobj=out, mode="w:gz" if kind == "tgz" else "w") as tar:
            entry = tarfile.TarInfo(inside)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz", "gz"])
@pytest.mark.parametrize("what", ["picture", "text", "other"])
def test_archives_are_looked_into_by_content(engine, kind, what):
    frame = frames_of(engine, "secret one")[0]
    data = {
        "picture": engine.storage.read_bytes(frame.key),
        "text": f"see {frame.name}\n".encode(),
        "other": b"nothing of it",
    }[what]
    held = packed(kind, data, "holiday/x.bin" if what == "picture" else "notes.txt")
    path = engine.root / "notes.data"
    path.write_bytes(held)
    report = purge(engine, frame=frame.id, sure=sure)
    told = [(f.input_id, f.reason) for f in report.failures]
    assert [name.endswith("notes.data") for name, _why in told] == ([] if what == "other" else [True])
    assert all(why == "an archive that holds files of it, left as it is" for _name, why in told)
    assert path.read_bytes() == held


def test_what_is_no_file_of_this_program_is_named_and_left(engine, tmp_path):
    frame = frames_of(engine, "secret one")[0]
    kept = {
        "a.rst": f"see {frame.name}\n".encode(),
        "b.ini": f"picture={frame.name}\n".encode(),
        "c.json5": f"{{f: '{frame.name}', box: [1, 2, 3, 4]}}".encode(),
        "d.bin": b"\0\xff" + frame.id.encode(),
    }
    for name, data in kept.items():
        (engine.root / name).write_bytes(data)
    (engine.root / "e.rst").write_text("nothing of it")
    other = engine.root / "old" / ".dataengine" / "lineage.db"
    other.parent.mkdir(parents=True)
    shutil.copy(engine.root / ".dataengine" / "lineage.db", other)
    # Encoded again, and smaller.
    small = cv2.resize(cv2.imread(str(engine.storage.path(frame.key))), None, fx=0.75, fy=0.75)
    cv2.imwrite(str(engine.root / "holiday.jpg"), small)
    # A page that a command wrote elsewhere.
    page = tmp_path / "pages" / "diff.html"
    engine.storage.write_bytes(engine.storage.key_of(page), f"<p>{frame.name}</p>".encode())
    report = purge(engine, frame=frame.id, sure=sure)
    named = {Path(f.input_id).name for f in report.failures}
    assert named == {*kept, "lineage.db"}
    assert {name: (engine.root / name).read_bytes() for name in kept} == kept
    assert [Path(name).name for name in report.data["pictures_alike"]] == ["holiday.jpg"]
    assert {"found": str(page)} in report.data["elsewhere"]
    assert [note for note in report.notes if str(page) in note]


def test_counts_after_a_purge_are_those_of_what_is_left(engine):
    frames = frames_of(engine, "secret one")
    before = latest(engine)
    boxes = len(boxes_of(engine, frames))
    purge(engine, video="secret one", sure=sure)
    said = verify(engine)
    assert (said.data["frames"], said.data["frames_purged"]) == (before.frames - 3, 3)
    assert said.data["boxes"] == before.boxes - boxes
    left = {"frames": before.frames - 3, "boxes": before.boxes - boxes}
    assert said.rows == (
        {"version": "v1", **left, "frames_purged": 3, "boxes_purged": boxes},
        {"version": "v2", **left, "frames_purged": 0, "boxes_purged": 0},
    )
    # The log says what was when a version was made, and what is gone of it.
    newest, first = log(engine).every_row()
    assert (first["frames"], first["frames_purged"], first["boxes_purged"]) == (before.frames, 3, boxes)
    assert (first["boxes_added"], newest["boxes_removed"], newest["frames_removed"]) == (before.boxes, boxes, 3)
    assert [row["purged"] for row in log(engine).rows] == ["", f"3 frames, {boxes} boxes"]
    report = revert(engine, "v1")
    assert report.title == "nothing to do: v2 holds what is left of what v1 held"
    assert report.notes == (
        f"3 frames and {boxes} boxes of v1 were purged since, and are gone for good: dataengine dataset log",
    )
    held = certificate(engine, "v1").data["certificate"]
    assert held["frames_purged"] == 3
    assert sum(side["frames"] for side in held["sides"].values()) == before.frames - 3


def test_other_sources_that_it_concerns_are_named(engine):
    gone, other = frames_of(engine, "secret one"), frames_of(engine, "other")
    with engine.database.write() as connection:
        mine, its = (f"video:{frames[0].video_id}" for frames in (gone, other))
        connection.execute(sa.update(split_plans).where(split_plans.c.source == its).values(shares=mine))
    named = purge(engine, video="secret one", dry_run=True, sure=sure)
    assert [note for note in named.notes if "of nearly the same time" in note and "other (" in note]
    report = purge(engine, video="secret one", sure=sure)
    assert report.data["same_axis"] == [other[0].video_id]
    assert [note for note in report.notes if "of nearly the same time" in note and "other (" in note]


def test_an_open_job_of_another_camera_that_goes_is_named(workspace, engine):
    # The same picture to the byte, on another camera, in a job of its own.
    frame = frames_of(engine, "secret one")[0]
    film(workspace.root / "videos_raw" / "door" / "d.mp4", [41, 42])
    sample(engine)
    door = frames_of(engine, "d")[0]
    folder = workspace.root / "one"
    folder.mkdir()
    shutil.copy(engine.storage.path(door.key), folder / door.name)
    upload(engine, frames=folder)
    with engine.database.write() as connection:
        sha = connection.scalar(sa.text("select sha256 from files where frame_id = :f"), {"f": frame.id})
        connection.execute(sa.text("update files set sha256 = :s where frame_id = :f"), {"s": sha, "f": door.id})
    report = purge(engine, camera="gate", dry_run=True, sure=sure)
    wanted = ("of camera door", "1 open job off the list")
    assert [sum(text in note for note in report.notes) for text in wanted] == [1, 1]
    report = purge(engine, camera="gate", sure=sure)
    assert report.data["cameras"] == {"door": 1}
    assert len(report.data["open_jobs"]) == 1
    assert [sum(text in note for note in report.notes) for text in wanted] == [1, 1]


def test_a_golden_axis_is_purged_and_stays_golden_for_other_footage(engine):
    wanted = engine.settings.golden.model_copy(update={"fraction": 0.2, "min_per_class": 1})
    engine.settings = engine.settings.model_copy(update={"golden": wanted})
    with engine.database.write() as connection:
        # No model may have seen what turns golden.
        connection.execute(sa.text("update models set dataset_version_id = null"))
    assert golden(engine).data["frames"] > 0
    with engine.database.read() as connection:
        kept = dataset_frames.c.split == "golden"
        ids = set(connection.scalars(sa.select(dataset_frames.c.frame_id).where(kept)))
        blocks = connection.execute(sa.select(golden_blocks)).all()
    judged = [frame for frame in frames_of(engine) if frame.id in ids]
    pictures = [engine.storage.read_bytes(frame.key) for frame in judged]
    for video in {frame.video_id for frame in judged}:
        report = purge(engine, video=video, sure=sure)
    assert report.failures == ()
    for picture in pictures:
        assert picture not in [path.read_bytes() for path in engine.root.rglob("*") if path.is_file()]
    with engine.database.read() as connection:
        # Other footage of the same moments is cut by them.
        assert connection.execute(sa.select(golden_blocks)).all() == blocks
    said = verify(engine, pictures=True)
    assert said.failures == ()
    assert json.loads((engine.root / "master_dataset/golden.json").read_bytes())["images"] == []
    for version in range(1, latest(engine).number + 1):
        assert certificate(engine, f"v{version}").failures == ()
    assert not export(engine).data["new"]


def test_a_downgrade_forgets_tombstones_and_says_so(engine):
    purge(engine, video="secret one", sure=sure)
    newest = latest(engine)
    told = {loss.what: loss.rows for loss in migrate.losses(engine.database, "0005")}
    assert (told["tombstones"], told["purged"] > 0) == (1, True)
    assert [harm for harm in migrate.harm(engine.database, "0005") if "sources that were purged may come back" in harm]
    migrate.downgrade(engine.database, "0005")
    migrate.ensure(engine.database)
    with engine.database.read() as connection:
        assert tombstones.known(connection) == []
        assert connection.scalar(sa.select(sa.func.count()).select_from(stones)) == 0
    # The newest version never held any of it; what is gone of the first is nobody's word any more.
    assert verify(engine, f"v{newest.number}").failures == ()
    reasons = [f.reason for f in verify(engine, "v1").failures if f.input_id == "v1"]
    assert [reason.startswith(f"holds {newest.boxes} boxes, and ") for reason in reasons] == [True]
