"""Copies of frames for pages: made once whoever asks, never of what was purged, never by a path."""

from __future__ import annotations

import shutil
import threading

import cv2
import numpy as np
import pytest
from test_lineage_purge import SETTINGS, frames_of, sure

from data_engine.app.doctor import doctor
from data_engine.app.footage import renditions
from data_engine.app.footage.pictures import register
from data_engine.app.footage.renditions import FOLDER, MOST_PIXELS, rendition, shown_size
from data_engine.app.lineage.lineage_purge import purge
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media import images


@pytest.fixture
def engine(workspace, round_once):
    shutil.copytree(round_once, workspace.root, dirs_exist_ok=True)
    return workspace.open(**SETTINGS)


def picture(engine, name: str, width: int, height: int) -> str:
    """A registered lone picture of that size; its frame's id."""
    rng = np.random.default_rng(width * height)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    _, data = cv2.imencode(f".{name.rpartition('.')[2]}", cv2.resize(coarse, (width, height)))
    engine.storage.write_bytes(f"loose/{name}", data.tobytes())
    ((frame,), failed) = register(engine, [f"loose/{name}"], below="loose")
    assert not failed
    return frame.id


def test_a_thumbnail_is_made_once_for_all_who_ask_at_once(workspace, monkeypatch):
    engine = workspace.open()
    frame_id = picture(engine, "wide.jpg", 800, 300)
    made = []

    def counted(*given, **more):
        made.append(given)
        return thumbnail(*given, **more)

    thumbnail = images.thumbnail
    monkeypatch.setattr(images, "thumbnail", counted)
    found: list[object] = []
    asking = [threading.Thread(target=lambda: found.append(rendition(engine, frame_id, "thumb"))) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(made) == 1
    assert len(found) == 8
    assert len(set(found)) == 1
    shown = rendition(engine, frame_id, "thumb")
    assert images.size_of(shown.path) == (320, 120)
    assert shown.path.is_relative_to(engine.root / FOLDER)
    assert len(made) == 1


def test_a_picture_is_shown_as_it_is_up_to_what_a_browser_holds(workspace):
    engine = workspace.open()
    small = rendition(engine, picture(engine, "small.png", 640, 360), "shown")
    assert (small.path, small.media_type) == (engine.root / "loose/small.png", "image/png")
    other = rendition(engine, picture(engine, "scan.tif", 64, 36), "shown")
    assert other.media_type == "image/jpeg"
    assert images.size_of(other.path) == (64, 36)
    large = rendition(engine, picture(engine, "large.jpg", 6000, 4000), "shown")
    size = images.size_of(large.path)
    assert size == shown_size(6000, 4000)
    assert 0.99 * MOST_PIXELS < size[0] * size[1] <= MOST_PIXELS
    assert size[0] / size[1] == pytest.approx(1.5, abs=0.001)


def test_doctor_says_where_the_copies_lie(workspace):
    engine = workspace.open()
    assert "copies for pages" not in {row["check"] for row in doctor(engine).rows}
    made = rendition(engine, picture(engine, "wide.jpg", 800, 300), "thumb")
    (told,) = (row["detail"] for row in doctor(engine).rows if row["check"] == "copies for pages")
    assert told.startswith(f"1 small or reduced picture in {FOLDER}, ")
    assert renditions.kept(engine) == (1, made.path.stat().st_size)


def test_what_is_damaged_or_gone_is_told_and_shows_once_it_was_mended(workspace):
    engine = workspace.open()
    frame_id = picture(engine, "a.jpg", 640, 360)
    path = engine.root / "loose/a.jpg"
    whole = path.read_bytes()
    path.write_bytes(b"no picture")
    for size in ("thumb", "shown"):
        with pytest.raises(DamagedInputError):
            rendition(engine, frame_id, size)
    path.unlink()
    for size in ("thumb", "shown"):
        with pytest.raises(MissingInputError):
            rendition(engine, frame_id, size)
    path.write_bytes(whole)
    assert rendition(engine, frame_id, "thumb").path.is_file()


@pytest.mark.parametrize("given", ["", "0" * 32, "../../dataengine.toml", "..", "0" * 31 + "/", "A" * 32])
@pytest.mark.parametrize("size", ["thumb", "shown"])
def test_only_ids_on_record_name_a_file(workspace, given, size):
    with pytest.raises(MissingInputError, match="no such frame"):
        rendition(workspace.open(), given, size)


def test_a_purge_takes_the_copies_along_and_leaves_those_of_others(engine):
    gone, kept = frames_of(engine, "secret one"), frames_of(engine, "other")
    copies = {frame.id: rendition(engine, frame.id, "thumb").path for frame in (*gone, *kept)}
    report = purge(engine, video="secret one", sure=sure)
    assert report.failures == ()
    assert not [frame.name for frame in gone if copies[frame.id].exists()]
    assert all(copies[frame.id].exists() for frame in kept)
    assert not [note for note in report.notes if FOLDER in note]


def test_a_copy_that_is_made_during_a_purge_does_not_stay(engine, monkeypatch):
    frame = frames_of(engine, "secret one")[0]
    drawn = renditions._drawn

    def purged_meanwhile(*given):
        data = drawn(*given)
        purge(engine, video="secret one", sure=sure)
        return data

    monkeypatch.setattr(renditions, "_drawn", purged_meanwhile)
    with pytest.raises(MissingInputError):
        rendition(engine, frame.id, "thumb")
    assert not [path for path in (engine.root / FOLDER).rglob("*") if path.is_file()]
