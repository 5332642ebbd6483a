"""Files of versions: the same bytes whichever way they are written, and never built on what somebody changed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select
from two_tasks import LEFT, LOW, RIGHT, moved, say, two_jobs

from data_engine.app.annotation.review import reject
from data_engine.app.dataset import version_files
from data_engine.app.dataset.version_files import STAMPS, version_frames
from data_engine.app.dataset.version_writing import Sheet, outline, write_whole
from data_engine.app.merge.export import export
from data_engine.formats.coco import write_coco
from data_engine.lineage import classes, datasets, split_sources
from data_engine.lineage.ever_after import ever_after
from data_engine.lineage.tables import accepted, dataset_frames
from data_engine.stages.version_coco import ROOM, version_coco


def written(engine) -> dict[str, bytes]:
    folder = engine.root / "master_dataset"
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}


def write_again(engine, version, path, side=None):
    with engine.database.read() as connection:
        write_whole(connection, outline(connection, version), [Sheet(path, side)])


def versions(engine):
    with engine.database.read() as connection:
        return datasets.versions(connection)


@pytest.fixture
def grown(workspace):
    """Versions that each add, change, empty, drop or bring back a frame."""
    engine, one, two = two_jobs(workspace, 3, export={"valid_fraction": 0.5})
    say(engine, one, [LEFT, LOW], [LEFT], [])
    export(engine)
    say(engine, two, [RIGHT], [moved(LEFT, 3)], [LOW])
    export(engine)
    reject(engine, two, "no", by="rev@example.com")
    export(engine)
    say(engine, one, [], [LEFT], [LOW])
    export(engine)
    reject(engine, one, "no", by="rev@example.com")
    export(engine)
    say(engine, one, [LEFT], [LEFT, LOW], [RIGHT])
    export(engine)
    return engine


def test_every_way_to_write_a_version_gives_the_same_bytes(grown, tmp_path):
    files = written(grown)
    found = versions(grown)
    assert len(found) == 6
    for version in found:
        with grown.database.read() as connection:
            registry = classes.registry_at(connection, version.number)
        name = f"master_dataset_v{version.number}.json"
        entries = version_frames(grown, version.number)
        assert files[name] == write_coco(version_coco(version, entries, registry))
        write_again(grown, version, tmp_path / name)
        assert files[name] == (tmp_path / name).read_bytes()
    for side in ("train", "valid"):
        assert files[f"{side}.json"] == write_coco(version_coco(found[-1], entries, registry, side=side))
        write_again(grown, found[-1], tmp_path / side, side=side)
        assert files[f"{side}.json"] == (tmp_path / side).read_bytes()


def test_all_but_the_first_were_built_on_the_one_before(workspace, monkeypatch):
    """Else the test above compares one way with itself."""
    ways = []
    for way in ("write_whole", "write_from_before"):
        real = getattr(version_files, way)
        monkeypatch.setattr(version_files, way, lambda *a, way=way, real=real: (ways.append(way), real(*a)))
    engine, one, two = two_jobs(workspace)
    say(engine, one, [LEFT], [LEFT])
    export(engine)
    say(engine, two, [RIGHT], [LEFT])
    export(engine)
    assert ways == ["write_whole", "write_from_before"]
    export(engine)
    assert len(ways) == 2


def test_a_frame_keeps_its_number_and_its_boxes_are_numbered_by_it(grown):
    files = written(grown)
    numbers: dict[str, int] = {}
    for number in range(1, 7):
        document = json.loads(files[f"master_dataset_v{number}.json"])
        now = {image["frame_id"]: image["id"] for image in document["images"]}
        assert all(numbers.setdefault(frame, image) == image for frame, image in now.items())
        boxes: dict[int, list[int]] = {}
        for box in document["annotations"]:
            boxes.setdefault(box["image_id"], []).append(box["id"])
        for image, ids in boxes.items():
            assert ids == [image * ROOM + k for k in range(1, len(ids) + 1)]
    assert sorted(numbers.values()) == [1, 2, 3]


def test_changes_are_counted_alike_by_the_frames_and_among_all(grown):
    with grown.database.read() as connection:
        table = dataset_frames.c
        for version in versions(grown):
            came = list(connection.scalars(select(table.frame_id).where(table.since == version.number)))
            found = datasets.change_counts(connection, version.number, came)
            assert found == datasets.change_counts(connection, version.number)
        assert datasets.change_counts(connection, 1) == {"kept": 0, "edited": 0, "added": 3}
        assert datasets.change_counts(connection, 1, []) == {"kept": 0, "edited": 0, "added": 0}


@pytest.mark.parametrize("name", ["master_dataset_v1.json", "train.json", "valid.json"])
def test_a_file_that_somebody_changed_is_not_built_on(workspace, name):
    engine, one, two = two_jobs(workspace, export={"valid_fraction": 0.5})
    say(engine, one, [LEFT], [LEFT])
    export(engine)
    path = engine.root / "master_dataset" / name
    changed = path.read_bytes().replace(b'"change"', b'"chance"').replace(b'"version"', b'"vershun"')
    path.write_bytes(changed)
    say(engine, two, [RIGHT], [LEFT])
    export(engine)
    files = written(engine)
    assert not [n for n, data in files.items() if (b"chance" in data or b"vershun" in data) and n != name]
    if name.startswith("master"):
        # A version's own file is not written twice: what somebody made of it is found by dataset verify.
        assert files[name] == changed
    # Nor by the next one, though its side's files stand in the list of those that are sound.
    say(engine, two, [RIGHT, LOW], [LEFT])
    export(engine)
    assert b"chance" not in written(engine)["master_dataset_v3.json"]


def test_a_changed_file_of_a_side_is_mended_by_the_next_export(workspace):
    engine, one, _two = two_jobs(workspace, export={"valid_fraction": 0.5})
    say(engine, one, [LEFT], [LEFT])
    export(engine)
    before = written(engine)
    (engine.root / "master_dataset/train.json").write_bytes(b"{}")
    (engine.root / STAMPS).unlink()
    assert export(engine).data["new"] is False
    assert written(engine) == before


@pytest.mark.parametrize("text", ["", "{}", '{"layout": 0, "version": "", "numbers": "", "stamps": {}}'])
def test_a_damaged_list_of_files_is_made_anew(workspace, text):
    engine, one, two = two_jobs(workspace)
    say(engine, one, [LEFT], [LEFT])
    export(engine)
    (engine.root / STAMPS).write_text(text)
    say(engine, two, [RIGHT], [LEFT])
    export(engine)
    newest = versions(engine)[-1]
    entries = version_frames(engine, newest.number)
    with engine.database.read() as connection:
        registry = classes.registry_at(connection, newest.number)
    assert written(engine)["master_dataset_v2.json"] == write_coco(version_coco(newest, entries, registry))
    assert json.loads((engine.root / STAMPS).read_text())["version"] == newest.id


def test_nothing_is_built_on_where_frames_are_numbered_otherwise_by_now(workspace):
    """As after a purge of a frame: its number is that of another, whatever the files before say."""
    engine, one, _two = two_jobs(workspace, 3)
    say(engine, one, [LEFT], [RIGHT], [LOW])
    export(engine)
    first = min(version_frames(engine, 1), key=lambda entry: entry.number)
    with engine.database.write() as connection:
        for table in (accepted, dataset_frames):
            connection.execute(table.delete().where(table.c.frame_id == first.frame.id))
    export(engine)
    newest = versions(engine)[-1]
    entries = version_frames(engine, newest.number)
    assert {entry.frame.id: entry.number for entry in entries}[first.frame.id] == 3
    with engine.database.read() as connection:
        registry = classes.registry_at(connection, newest.number)
    assert written(engine)["master_dataset_v2.json"] == write_coco(version_coco(newest, entries, registry))


@pytest.mark.parametrize("changed", [False, True])
def test_a_file_whose_note_is_missing_is_sound_when_it_says_what_it_should(workspace, changed):
    """Somebody killed the export between the file and the note of it; or removed the note after changing the file."""
    engine, one, _two = two_jobs(workspace)
    say(engine, one, [LEFT], [LEFT])
    export(engine)
    noted = json.loads((engine.root / STAMPS).read_text())
    (engine.root / STAMPS).unlink()
    path = engine.root / "master_dataset/master_dataset_v1.json"
    if changed:
        path.write_bytes(path.read_bytes() + b" ")
    before = path.stat().st_mtime_ns
    export(engine)
    again = json.loads((engine.root / STAMPS).read_text())
    assert again["stamps"].keys() ^ noted["stamps"].keys() == (
        {"master_dataset/master_dataset_v1.json"} if changed else set()
    )
    assert path.stat().st_mtime_ns == before


def test_what_was_ever_held_is_the_same_read_at_once_and_version_by_version(grown):
    with grown.database.read() as connection:
        first, *later = [version.number for version in datasets.versions(connection)]
        held = _as_of(first, split_sources.ever_held(connection, first))
        for number in later:
            held = _as_of(number, ever_after(connection, held, number))
            assert _told(held) == _told(_as_of(number, split_sources.ever_held(connection, number)))
        assert len(later) > 3


def _as_of(number, held):
    """As it was read when a version was made: ends that came later stood nowhere yet."""
    return replace(held, until=np.where(held.until > number, split_sources.FOREVER, held.until))


def _told(held):
    of = {
        place: (identity, held.names[source], at, look, is_hashed)
        for place, (identity, source, at, look, is_hashed) in enumerate(
            zip(held.ids, held.sources, held.positions, held.hashes, held.hashed, strict=True)
        )
    }
    rows = zip(held.row_frames.tolist(), held.since, held.until, held.row_sides, strict=True)
    return sorted((of[frame], since, until, side) for frame, since, until, side in rows)
