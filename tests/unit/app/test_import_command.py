"""``dataset import``: what comes in, from where, on which side; what stays as it was, and what is refused."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from drawn_workspace import draw

from data_engine.app.annotation.upload import upload
from data_engine.app.dataset import dataset_verify
from data_engine.app.lineage.lineage_purge import purge
from data_engine.app.lineage.lineage_show import show
from data_engine.app.merge.dataset_import import Wanted, import_dataset
from data_engine.app.merge.export import export
from data_engine.app.status import status
from data_engine.demo.people import work
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import datasets, footage
from data_engine.lineage.tables import merge_conflicts
from data_engine.types import Report

BOX = (3.0, 4.0, 20.0, 12.0)


def coco(names: list[str], label: str = "person", *, first: int = 1, **image: Any) -> str:
    """A file with one box a picture, which numbers everything from ``first``."""
    images = [{"id": first + n, "file_name": f, "width": 64, "height": 48, **image} for n, f in enumerate(names)]
    boxes = [
        {"id": first + n, "image_id": first + n, "category_id": first, "bbox": list(BOX)} for n in range(len(names))
    ]
    return json.dumps({"images": images, "annotations": boxes, "categories": [{"id": first, "name": label}]})


def dataset(folder: Path, parts: Mapping[str, tuple[list[str], str]]) -> Path:
    """Parts of a dataset, each in a folder of its own, whose pictures are like no other's."""
    for seed, (part, (names, label)) in enumerate(parts.items(), 1):
        for number, name in enumerate(names):
            draw(folder / part / "images" / name, 100 * seed + number)
        (folder / part / "labels.json").write_text(coco(names, label, first=seed))
    return folder


def held(engine: Any) -> dict[str, tuple[str, str, list[tuple[str, tuple[float, ...]]]]]:
    """What the newest version holds: camera, side and boxes by the name of the frame."""
    document = json.loads((engine.root / "master_dataset" / f"{newest(engine)}.json").read_text("utf-8"))
    names = {category["id"]: category["name"] for category in document["categories"]}
    return {
        image["file_name"]: (
            image["camera"],
            image["split"],
            [
                (names[a["category_id"]], tuple(a["bbox"]))
                for a in document["annotations"]
                if a["image_id"] == image["id"]
            ],
        )
        for image in document["images"]
    }


def newest(engine: Any) -> str:
    with engine.database.read() as connection:
        return f"master_dataset_v{datasets.versions(connection)[-1].number}"


def brought(engine: Any, path: Path, **wanted: Any) -> Report:
    return import_dataset(engine, path, Wanted(**wanted))


def test_parts_that_number_everything_anew_and_have_a_file_name_in_common(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["p1.jpg", "p2.jpg"], "person"), "b": (["p1.jpg", "p3.jpg"], "helmet")})
    engine = workspace.open(export={"valid_fraction": 0.5})
    report = brought(engine, source)
    assert report.failures == ()
    assert (report.data["version"], report.data["frames_added"], report.data["boxes_added"]) == ("v1", 4, 4)
    found = held(engine)
    assert sorted((name.rpartition("_")[0], camera, boxes) for name, (camera, _side, boxes) in found.items()) == [
        ("p1", "bees/a", [("person", BOX)]),
        ("p1", "bees/b", [("helmet", BOX)]),
        ("p2", "bees/a", [("person", BOX)]),
        ("p3", "bees/b", [("helmet", BOX)]),
    ]
    # The workspace needs the source no more.
    with engine.database.read() as connection:
        frames = footage.frames_by_id(connection, datasets.frames_of(connection, 1))
    for frame in frames.values():
        assert frame.key.startswith("imported/")
        assert engine.storage.exists(frame.key)


def test_the_same_again_is_nothing_to_do_however_it_is_packed(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["p1.jpg", "p2.jpg"], "person")})
    engine = workspace.open()
    first = brought(engine, source)
    packed = tmp_path / "bees.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted(source.rglob("*.*")):
            file.write(path, path.relative_to(source))
    tar = tmp_path / "bees.tar.gz"
    with tarfile.open(tar, "w:gz") as archive:
        archive.add(source, ".")
    for again in (source, packed, tar):
        report = brought(engine, again)
        assert (report.title, report.data["version"]) == ("bees was imported before: nothing to do", "v1")
        assert not report.data["new"]
    # Under another name it is another import, which brings nothing new.
    other = brought(engine, packed, name="wasps")
    assert (other.title, other.data["same_frames"], newest(engine)) == (
        "nothing of wasps is new",
        2,
        "master_dataset_v1",
    )
    assert first.data["new"]


def test_on_each_database_one_import_is_one(workspace, tmp_path, database_url):
    source = dataset(tmp_path / "bees", {"a": (["p1.jpg", "p2.jpg"], "person"), "b": (["p3.jpg"], "Hut")})
    engine = workspace.open(database={"url": database_url})
    tried = brought(engine, source, allow_new_classes=True, split="keep", dry_run=True)
    done = brought(engine, source, allow_new_classes=True, split="keep")
    again = brought(engine, source, split="keep")
    (source / "a" / "labels.json").write_text(coco(["p1.jpg", "p2.jpg"], "helmet"))
    later = brought(engine, source)
    counts = [(report.data["boxes_added"], report.data["boxes_changed"]) for report in (tried, done, again, later)]
    assert counts == [(3, 0), (3, 0), (0, 0), (0, 2)]
    with engine.database.read() as connection:
        assert [(v.number, v.frames, v.boxes) for v in datasets.versions(connection)] == [(1, 3, 3), (2, 3, 3)]
    assert dataset_verify.verify(engine, None).failures == ()


def test_a_later_delivery_changes_what_nobody_else_did(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["p1.jpg", "p2.jpg"], "person")})
    engine = workspace.open()
    brought(engine, source)
    (source / "a" / "labels.json").write_text(coco(["p1.jpg", "p2.jpg"], "helmet"))
    report = brought(engine, source)
    assert (report.data["version"], report.data["frames_changed"], report.data["frames_added"]) == ("v2", 2, 0)
    assert {boxes[0][0] for _camera, _side, boxes in held(engine).values()} == {"helmet"}
    # Of another name, it must not take the place of the boxes that are there.
    (source / "a" / "labels.json").write_text(coco(["p1.jpg", "p2.jpg"], "person"))
    report = brought(engine, source, name="wasps")
    assert (report.data["conflicts"], report.data["new"]) == (2, False)
    assert [name.partition("_")[0] for name in report.data["conflicting"]] == ["p1", "p2"]
    assert report.notes[0].startswith(
        "2 frames kept the boxes that the dataset has of them, though these are others: p1_"
    )


def test_what_people_accepted_stays_and_the_picture_is_known(workspace, tmp_path):
    engine = workspace.open(upload={"task_size": 4, "job_size": 2, "assignee": ["ann@example.com"]})
    folder = workspace.draw("frames_sampled", range(1, 5))
    upload(engine, frames=folder)
    work(engine, lambda _frame: [("person", BOX)], annotator="ann@example.com", reviewer="rev@example.com")
    export(engine)
    before = held(engine)
    names = sorted(path.name for path in folder.iterdir())
    source = tmp_path / "bees"
    (source / "images").mkdir(parents=True)
    for name in names:
        (source / "images" / name).write_bytes((folder / name).read_bytes())
    draw(source / "images" / "new.jpg", 99)
    document = json.loads(coco([*names, "new.jpg"]))
    _same, moved, other, _more = document["annotations"][:4]
    moved["bbox"] = [6, 4, 20, 12]
    other["category_id"] = 2
    document["annotations"].append({"id": 90, "image_id": 4, "category_id": 1, "bbox": [40, 30, 8, 8]})
    document["categories"].append({"id": 2, "name": "helmet"})
    (source / "labels.json").write_text(json.dumps(document))
    report = brought(engine, source)
    counts = {name: report.data.get(name) for name in ("frames_added", "frames_changed", "same_frames", "conflicts")}
    assert counts == {"frames_added": 1, "frames_changed": 1, "same_frames": 1, "conflicts": 2}
    assert [name.partition("_")[0] for name in report.data["conflicting"]] == [Path(n).stem for n in names[1:3]]
    after = held(engine)
    changed = {name: after[name][2] for name in before if after[name] != before[name]}
    # What nobody contradicts comes in, whoever drew it.
    assert changed == {next(n for n in before if n.startswith(Path(names[3]).stem)): [
        ("person", BOX), ("person", (40, 30, 8, 8)),
    ]}  # fmt: skip
    assert len(after) == len(before) + 1
    # Only what is new was copied.
    assert len(list((engine.root / "imported").rglob("*.jpg"))) == 1
    # The loop goes on as if nothing had happened.
    assert export(engine).title == "nothing new since dataset version v2"
    assert [row["count"] for row in status(engine).rows if row["step"] in ("tasks", "jobs")] == [1, 2]
    # The other way round, what is disputed is the import's.
    newest = brought(engine, source, name="wasps", on_conflict="newest")
    assert (newest.data["conflicts"], newest.data["frames_changed"]) == (2, 2)
    assert sorted(str(boxes) for _camera, _side, boxes in held(engine).values()) != sorted(
        str(boxes) for _camera, _side, boxes in after.values()
    )
    with engine.database.read() as connection:
        kept = [(row.policy, row.kept) for row in connection.execute(sa.select(merge_conflicts))]
    assert sorted(kept) == [("both", "ours")] * 2 + [("newest", "theirs")] * 2


def test_a_box_leads_to_its_import(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["p1.jpg"], "person")})
    packed = tmp_path / "bees.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted(source.rglob("*.*")):
            file.write(path, path.relative_to(source))
    engine = workspace.open()
    brought(engine, packed)
    with engine.database.read() as connection:
        ((box,),) = datasets.boxes_of(connection, 1).values()
    nodes = {node["kind"]: node for node in show(engine, [box.id], up=True).data["nodes"]}
    assert nodes["box"]["facts"]["accepted_by"] == "import:bees"
    assert nodes["job"]["label"] == nodes["task"]["label"] == "1, the import of bees"
    facts = nodes["task"]["facts"]
    assert (facts["source"], facts["format"]) == ("bees.zip", "coco")
    assert len(facts["sha256"]) == 64
    assert facts["run"]["stage"] == "import"
    assert facts["run"]["settings"]["split"] == "own"
    # Nobody was given this job.
    with pytest.raises(MissingInputError, match="there is no job yet"):
        show(engine, ["job", "1"])


@pytest.mark.parametrize(("split", "expected"), [("keep", {"train", "valid", "golden"}), ("own", {"train"})])
def test_sides_of_the_source_or_our_own(workspace, tmp_path, split, expected):
    source = dataset(
        tmp_path / "bees", {side: ([f"{side}{n}.jpg" for n in range(3)], "person") for side in ("train", "val", "test")}
    )
    engine = workspace.open(export={"valid_fraction": 0.0})
    report = brought(engine, source, split=split)
    assert {side for _camera, side, _boxes in held(engine).values()} == expected
    assert (engine.root / "master_dataset" / "golden.json").exists() == (split == "keep")
    # Sides are no cameras.
    assert {camera for camera, _side, _boxes in held(engine).values()} == {"bees"}
    assert sum(report.data.get(side, 0) for side in ("train", "valid", "golden")) == 9


def test_a_picture_on_two_sides_is_never_trained_on_when_it_is_judged_with(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"train": (["a.jpg"], "person"), "valid": (["b.jpg"], "person")})
    (source / "valid" / "images" / "b.jpg").write_bytes((source / "train" / "images" / "a.jpg").read_bytes())
    engine = workspace.open()
    report = brought(engine, source, split="keep")
    assert (report.data["pictures_twice"], report.data["frames_added"]) == (1, 1)
    assert [side for _camera, side, _boxes in held(engine).values()] == ["valid"]


def test_a_picture_that_is_labelled_in_two_ways_is_named(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["a.jpg"], "person"), "b": (["b.jpg"], "helmet")})
    (source / "b" / "images" / "b.jpg").write_bytes((source / "a" / "images" / "a.jpg").read_bytes())
    engine = workspace.open()
    report = brought(engine, source)
    (failed,) = report.failures
    assert failed.reason == "b/images/b.jpg is the same picture as a/images/a.jpg, whose boxes are others and are kept"
    assert [boxes for _camera, _side, boxes in held(engine).values()] == [[("person", BOX)]]


def test_what_was_purged_does_not_come_back(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["a.jpg", "b.jpg"], "person")})
    engine = workspace.open()
    brought(engine, source)
    with engine.database.read() as connection:
        frames = footage.frames_by_id(connection, datasets.frames_of(connection, 1))
    (gone,) = (frame for frame in frames.values() if frame.name == "a.jpg")
    purge(engine, frame=gone.id, sure=lambda _question: True)
    assert not engine.storage.exists(gone.key)
    for wanted in ({}, {"name": "wasps"}):
        report = brought(engine, source, **wanted)
        assert report.data["frames_added"] == 0
        assert [(failed.input_id, failed.reason) for failed in report.failures] == [
            ("a/images/a.jpg", "it was purged from this workspace and does not come back")
        ]
    assert not engine.storage.exists(gone.key)


def test_classes_are_renamed_or_registered_or_refused(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["a.jpg"], "person"), "b": (["b.jpg"], "Hut")})
    engine = workspace.open()
    with pytest.raises(UsageError) as caught:
        brought(engine, source)
    assert caught.value.message == "Hut: not among the registered classes, which are person, helmet"
    assert "--classes-map Hut=person" in caught.value.hint
    assert not (engine.root / "imported").exists()
    with pytest.raises(UsageError, match="renames hut, which the source does not have"):
        brought(engine, source, classes_map="hut=helmet")
    with pytest.raises(UsageError, match="'Hut' is not OLD=NEW"):
        brought(engine, source, classes_map="Hut")
    renamed = brought(engine, source, classes_map="Hut = helmet")
    assert ([row["class"] for row in renamed.rows], renamed.data["new_classes"]) == (["helmet", "person"], [])
    registered = brought(engine, source, name="new", allow_new_classes=True)
    assert (registered.data["new_classes"], registered.data["conflicts"]) == (["Hut"], 1)


def test_a_dry_run_says_the_same_and_leaves_nothing(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["a.jpg", "b.jpg"], "Hut")})
    engine = workspace.open()
    tried = brought(engine, source, allow_new_classes=True, dry_run=True)
    assert tried.title == "would import bees: 2 frames, 2 boxes added"
    assert tried.next == f"dataengine dataset import {source} --allow-new-classes"
    with engine.database.read() as connection:
        assert datasets.versions(connection) == []
        assert footage.count(connection)["frames"] == 0
    assert not (engine.root / "imported").exists()
    done = brought(engine, source, allow_new_classes=True)
    kept = ("frames_added", "boxes_added", "train", "valid", "guard", "new_classes")
    assert {k: tried.data.get(k) for k in kept} == {k: done.data.get(k) for k in kept}
    assert tried.rows == done.rows


def test_a_file_alone_finds_its_pictures(workspace, tmp_path):
    draw(tmp_path / "there" / "deep" / "a.jpg", 1)
    (tmp_path / "labels.json").write_text(coco(["a.jpg"], camera="gate"))
    engine = workspace.open()
    with pytest.raises(MissingInputError) as caught:
        brought(engine, tmp_path / "labels.json", images=engine.root)
    assert caught.value.message.endswith("none of 1 labelled picture is there, such as a.jpg")
    assert caught.value.hint == "name their folder with --images"
    brought(engine, tmp_path / "labels.json", images=tmp_path / "there")
    assert [camera for camera, _side, _boxes in held(engine).values()] == ["gate"]
    other = brought(engine, tmp_path / "labels.json", name="again")
    assert other.data["same_frames"] == 1


def test_what_is_no_box_of_ours_is_counted(workspace, tmp_path):
    source = dataset(tmp_path / "bees", {"a": (["a.jpg", "b.jpg", "c.jpg"], "person")})
    document = json.loads((source / "a" / "labels.json").read_text())
    first, second, _third = document["annotations"]
    first["bbox"] = [60, 40, 20, 20]
    second["attributes"] = {"rotation": 30}
    document["annotations"].append({**first, "id": 9, "bbox": [70, 60, 3, 3]})
    document["images"].append({"id": 8, "file_name": "gone.jpg", "width": 1, "height": 1})
    (source / "a" / "labels.json").write_text(json.dumps(document))
    draw(source / "a" / "images" / "nobody.jpg", 50)
    engine = workspace.open()
    report = brought(engine, source)
    assert {name: report.data.get(name) for name in ("boxes_clipped", "boxes_outside", "left_out")} == {
        "boxes_clipped": 1,
        "boxes_outside": 1,
        "left_out": {"rotated box": 1},
    }
    assert (report.data["pictures_unlabelled"], report.data["pictures_missing"]) == (1, 1)
    assert [failed.reason for failed in report.failures] == ["1 labelled picture not there: gone.jpg"]
    # A picture with nothing left is one that shows nothing that is looked for.
    assert sorted(len(boxes) for _camera, _side, boxes in held(engine).values()) == [0, 1, 1]


def test_a_png_whose_header_comes_late_is_measured(workspace, tmp_path):
    """The size of a picture is known from its beginning, or else from all of it."""
    from PIL import Image

    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (48, 64), "red").save(buffer, "JPEG", exif=exif.tobytes(), comment=b"c" * 65_000)
    source = dataset(tmp_path / "bees", {"a": (["x.jpg"], "person")})
    (source / "a" / "images" / "x.jpg").write_bytes(buffer.getvalue())
    assert brought(workspace.open(), source).data["frames_added"] == 1
