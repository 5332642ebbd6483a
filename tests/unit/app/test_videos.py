"""Which videos are found, what is registered of them, and what is not read a second time."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import sqlalchemy as sa
from drawn_videos import write_sequence, write_video
from drawn_workspace import Silent, Workspace

from data_engine.app.engine import Engine, open_engine
from data_engine.app.footage.ingest import ingest
from data_engine.app.footage.videos import find_videos
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import footage, videos
from data_engine.lineage.tables import videos as table
from data_engine.types import Frame, Video, content_id

RAW = "videos_raw"


class Reads:
    """A Progress that counts the files that were opened."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.files = 0
        self._stop_after = stop_after

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None: ...

    def advance(self, amount: int = 1) -> None:
        if self.files == self._stop_after:
            raise KeyboardInterrupt
        self.files += amount

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def one_worker(workspace: Workspace, **settings: object) -> Engine:
    return workspace.open(ingest={"workers": 1, **settings}, sample={"workers": 1})


def find(engine: Engine, *inputs: str) -> dict[str, Video]:
    found = find_videos(engine, [engine.root / name for name in inputs or (RAW,)])
    assert found.failures == []
    return {video.key: video for video in found.videos}


def reads(engine: Engine, action) -> int:
    counting = Reads()
    before, engine.progress = engine.progress, counting
    action()
    engine.progress = before
    return counting.files


def registered(engine: Engine) -> dict[str, Video]:
    with engine.database.read() as connection:
        ids = connection.scalars(sa.select(table.c.id)).all()
        return {video.key: video for video in footage.videos_by_id(connection, ids).values()}


# --- what is a video --------------------------------------------------------------------------------------------------


def test_two_videos_of_the_same_name_stay_two(workspace):
    for seed, camera in enumerate(("gate", "door 1", "zwei\nZeilen")):
        write_video(workspace.root / RAW / camera / "08 00.mp4", seed)
    engine = one_worker(workspace)
    found = find(engine)
    assert {key: video.camera for key, video in found.items()} == {
        f"{RAW}/{camera}/08 00.mp4": camera for camera in ("gate", "door 1", "zwei\nZeilen")
    }
    assert len({video.id for video in found.values()}) == 3
    assert registered(engine) == found


def test_what_is_no_video_is_counted(workspace):
    raw = workspace.root / RAW
    write_video(raw / "a.mp4")
    (raw / "a.json").write_text("{}")
    (raw / "b.json").write_text("{}")
    (raw / "notes.txt").write_text("x")
    (raw / ".hidden.mp4").write_text("x")
    (raw / ".dataengine-tmp-1-x.mp4").write_text("x")
    workspace.draw(f"{RAW}/posters", [1, 2, 3])
    found = find_videos(one_worker(workspace), [raw])
    assert [video.key for video in found.videos] == [f"{RAW}/a.mp4"]
    assert found.ignored == 5


def test_a_folder_of_numbered_pictures_is_one_video(workspace):
    raw = workspace.root / RAW
    write_sequence(raw / "gate/monday", 1)
    write_sequence(raw / "yard.left", 2)
    write_sequence(raw / "yard.right", 3)
    # Stills beside a video are no video.
    write_sequence(raw / "hall", 4)
    write_video(raw / "hall/hall.mp4", 5)
    engine = one_worker(workspace)
    found = find_videos(engine, [raw])
    assert {video.key: (video.name, video.camera) for video in found.videos} == {
        f"{RAW}/gate/monday": ("monday", "gate"),
        f"{RAW}/hall/hall.mp4": ("hall", "hall"),
        f"{RAW}/yard.left": ("yard.left", "yard.left"),
        f"{RAW}/yard.right": ("yard.right", "yard.right"),
    }
    assert found.ignored == 20
    assert reads(engine, lambda: find(engine)) == 0
    (alone,) = find(engine, f"{RAW}/gate/monday").values()
    assert (alone.key, alone.camera) == (f"{RAW}/gate/monday", "gate")


def test_a_folder_of_pictures_may_be_all_there_is(tmp_path):
    write_sequence(tmp_path / "plain/Straße.1")
    overrides = {"ingest": {"pattern": "{camera}"}, "sample": {"workers": 1}}
    for root, key in ((tmp_path / "plain", "Straße.1"), (tmp_path / "plain/Straße.1", ".")):
        with open_engine(root, overrides=overrides, progress=Silent(), environ={}) as engine:
            (video,) = find(engine, key).values()
            assert (video.key, video.name, video.camera) == (key, "Straße.1", "Straße.1")
            assert find(engine, key) == {key: video}


def test_a_sidecar_of_a_folder_of_pictures(workspace):
    raw = workspace.root / RAW
    write_sequence(raw / "yard.left", 1)
    write_sequence(raw / "yard.right", 2)
    (raw / "yard.left.json").write_text('{"venue": "left"}')
    (raw / "yard.json").write_text('{"venue": "neither"}')
    found = find_videos(one_worker(workspace), [raw])
    assert [video.venue for video in found.videos] == ["left", None]
    assert found.ignored == 1


def test_a_picture_more_makes_another_video_of_a_folder(workspace):
    folder = write_sequence(workspace.root / RAW / "gate", count=5)
    engine = one_worker(workspace)
    (before,) = find(engine).values()
    write_sequence(folder, count=6)
    (after,) = find(engine).values()
    assert (before.key, after.key) == (f"{RAW}/gate", f"{RAW}/gate")
    assert (before.duration_s, after.duration_s) == (0.2, 0.24)
    assert before.id != after.id


def test_frames_of_one_s_own_are_no_footage(workspace):
    folder = write_sequence(workspace.root / "out", count=3)
    write_video(workspace.root / "a.mp4")
    engine = one_worker(workspace)
    sampled = folder / "img_0001.png"
    frame = Frame(content_id("x"), sampled.name, "out/img_0001.png", 160, 120, "cam")
    with engine.database.write() as connection:
        footage.add_frames(connection, [frame])
        known = footage.KnownFile(frame.key, engine.storage.stamp(frame.key), "0" * 64, frame_id=frame.id)
        footage.add_files(connection, [known])
    assert list(find(engine, "a.mp4", "out", ".")) == ["a.mp4"]


@pytest.mark.parametrize("command", [find_videos, lambda engine, inputs: ingest(engine, inputs=inputs)])
def test_nothing_there(workspace, command):
    engine = one_worker(workspace)
    with pytest.raises(MissingInputError, match="nowhere is not there"):
        command(engine, [Path("nowhere")])
    (workspace.root / "empty").mkdir()
    with pytest.raises(MissingInputError, match="there is no video in"):
        command(engine, [workspace.root / "empty"])
    (workspace.root / "bad.mp4").write_text("x")
    with pytest.raises(DamagedInputError, match=r"bad\.mp4 is not a video"):
        command(engine, [workspace.root / "bad.mp4"])
    assert registered(engine) == {}


# --- where a video comes from -----------------------------------------------------------------------------------------


def described(video: Video) -> tuple[str | None, ...]:
    return video.venue, video.event, video.camera, video.captured_at


def test_who_says_where_a_video_comes_from(workspace):
    """A sidecar over the pattern, the pattern over the container, the container over the name."""
    raw = workspace.root / RAW
    made = {"creation_time": "2026-05-05T05:05:05Z"}
    write_video(raw / "Halle/20261120/gate_083000.mp4", 1, metadata=made)
    write_video(raw / "Halle/20261120/door_083000.mp4", 2, metadata=made)
    write_video(raw / "Halle/20261120/door_083000 (2).mp4", 3, metadata=made)
    write_video(raw / "elsewhere_2026-01-01_00-00-00.mp4", 4)
    (raw / "Halle/20261120/door_083000.mp4.json").write_text(
        json.dumps({"camera": "Tür", "event": "Messe", "captured_at": "2026-11-20T08:30:07+01:00"})
    )
    # The less exact one of two.
    (raw / "Halle/20261120/door_083000.json").write_text('{"camera": "other"}')
    engine = one_worker(workspace, pattern="{venue}/{date}/{camera}_{time}.mp4")
    found = find_videos(engine, [raw])
    assert {video.key.removeprefix(f"{RAW}/"): described(video) for video in found.videos} == {
        "Halle/20261120/door_083000 (2).mp4": (None, None, "Halle", "2026-05-05T05:05:05+00:00"),
        "Halle/20261120/door_083000.mp4": ("Halle", "Messe", "Tür", "2026-11-20T08:30:07+01:00"),
        "Halle/20261120/gate_083000.mp4": ("Halle", None, "gate", "2026-11-20T08:30:00"),
        "elsewhere_2026-01-01_00-00-00.mp4": (
            None,
            None,
            "elsewhere_2026-01-01_00-00-00",
            "2026-01-01T00:00:00",
        ),
    }
    assert (found.unmatched, found.ignored) == (2, 1)


def test_a_wrong_pattern_is_refused_before_anything_is_read(workspace):
    write_video(workspace.root / RAW / "a.mp4")
    engine = one_worker(workspace, pattern="{venue")
    with pytest.raises(UsageError, match=r"--pattern \{venue"):
        ingest(engine, inputs=[workspace.root / RAW])
    assert registered(engine) == {}


def test_what_is_said_later_is_taken_over_without_reading(workspace):
    raw = workspace.root / RAW
    write_video(raw / "Halle/gate/a.mp4", metadata={"creation_time": "2026-11-20T05:05:05Z"})
    shutil.copy(raw / "Halle/gate/a.mp4", raw / "b.mp4")
    (raw / "b.json").write_text('{"venue": "not of the first file"}')
    engine = one_worker(workspace)
    (before,) = find(engine).values()
    assert described(before) == (None, None, "Halle/gate", "2026-11-20T05:05:05+00:00")

    said = one_worker(workspace, pattern="{venue}/{camera}/{_}")
    assert reads(said, lambda: find(said)) == 0
    (after,) = find(said).values()
    assert after == replace(before, venue="Halle", camera="gate")

    (raw / "Halle/gate/a.json").write_text('{"event": "Messe", "camera": "Tor", "captured_at": "2026-11-21"}')
    (last,) = find(said).values()
    assert last == replace(after, event="Messe", camera="Tor", captured_at="2026-11-21")
    # What was said stays said.
    (raw / "Halle/gate/a.json").unlink()
    assert list(find(engine).values()) == [last]
    assert list(registered(engine).values()) == [last]


def test_a_bad_sidecar_fails_its_video_alone(workspace):
    raw = workspace.root / RAW
    write_video(raw / "a.mp4", 1)
    write_video(raw / "b.mp4", 2)
    (raw / "a.json").write_text('{"venue": 3}')
    engine = one_worker(workspace)
    found = find_videos(engine, [raw])
    assert [(one.input_id, one.reason) for one in found.failures] == [
        (f"{RAW}/a.mp4", f"{RAW}/a.json: venue must be text")
    ]
    assert list(registered(engine)) == [f"{RAW}/b.mp4"]
    with pytest.raises(DamagedInputError, match=r"a\.json: venue must be text"):
        find_videos(engine, [raw / "a.mp4"])


def test_a_camera_for_what_has_no_path_of_its_own(workspace):
    write_video(workspace.root / "live/x.mkv")
    found = find_videos(one_worker(workspace), [workspace.root / "live/x.mkv"], cameras={"live/x.mkv": "live/gate"})
    assert [video.camera for video in found.videos] == ["live/gate"]


# --- the same bytes in several places ---------------------------------------------------------------------------------


def test_the_first_place_stays_while_it_is_there(workspace):
    raw = workspace.root / RAW
    write_video(raw / "m/first.mp4")
    engine = one_worker(workspace)
    (first,) = find(engine).values()
    shutil.copy(raw / "m/first.mp4", raw / "a.mp4")
    shutil.copy(raw / "m/first.mp4", raw / "z.mp4")
    found = find_videos(engine, [raw])
    assert (found.videos, found.copies) == ([first], 2)
    (raw / "m/first.mp4").unlink()
    assert reads(engine, lambda: find(engine)) == 0
    (moved,) = find(engine).values()
    assert moved == replace(first, key=f"{RAW}/a.mp4", name="a", camera="a")
    assert list(registered(engine).values()) == [moved]


def test_a_place_that_holds_something_else_now_is_the_other_s(workspace):
    raw = workspace.root / RAW
    write_video(raw / "a.mp4", 1)
    engine = one_worker(workspace)
    (old,) = find(engine).values()
    shutil.copy(raw / "a.mp4", raw / "b.mp4")
    write_video(raw / "a.mp4", 2)
    found = find(engine)
    assert found[f"{RAW}/b.mp4"].id == old.id
    assert found[f"{RAW}/a.mp4"].id != old.id
    assert find(engine) == found


def test_a_touched_file_is_read_again_and_stays_what_it_was(workspace):
    path = write_video(workspace.root / RAW / "gate/a.mp4")
    engine = one_worker(workspace, pattern="{camera}/{_}")
    before = find(engine)
    path.touch()
    assert reads(engine, lambda: find(engine)) == 1
    assert find(engine) == before == registered(engine)
    # Also when it is met by another way, which does not name the camera.
    path.touch()
    assert find(engine, f"{RAW}/gate/a.mp4") == before


# --- what an earlier release, or other settings, left open ------------------------------------------------------------


def test_a_video_of_an_earlier_release_is_probed_again(workspace):
    raw = workspace.root / RAW
    write_video(raw / "hall/gate/a.mp4", borders=(0, 20))
    engine = one_worker(workspace)
    before = find(engine)
    later = ("pixel_format", "variable_rate", "audio", "rotation", "interlaced", "captured_at", "crop")
    with engine.database.write() as connection:
        connection.execute(sa.update(table).values(dict.fromkeys(later, None)))
    assert reads(engine, lambda: find(engine, f"{RAW}/hall")) == 1
    # Its camera is the one that its frames were sampled under.
    assert registered(engine) == before
    assert reads(engine, lambda: find(engine)) == 0


def test_sampling_takes_videos_as_they_were_registered(workspace):
    raw = workspace.root / RAW
    write_video(raw / "a.mp4", borders=(0, 20))
    ingest(one_worker(workspace, crop=False), inputs=[raw])
    engine = one_worker(workspace)
    assert reads(engine, lambda: find(engine)) == 0
    shutil.copy(raw / "a.mp4", raw / "b.mp4")
    assert [video.crop for video in find(engine).values()] == [None]


def test_ingest_finds_out_what_its_settings_want(workspace):
    raw = workspace.root / RAW
    write_video(raw / "a.mp4", 1, borders=(0, 20))
    write_video(raw / "b.mp4", 2)
    write_sequence(raw / "c", 3)
    engine = one_worker(workspace)

    def run(count: int, **settings: object) -> Engine:
        changed = one_worker(workspace, **settings)
        assert reads(changed, lambda: ingest(changed, inputs=[raw])) == count
        assert reads(changed, lambda: ingest(changed, inputs=[raw])) == 0
        return changed

    def signatures(method: str) -> dict[str, bytes]:
        with engine.database.read() as connection:
            return videos.signatures(connection, method)

    find(engine)
    assert [video.crop for video in registered(engine).values()] == [(0, 20, 160, 120), None, None]
    # Registered by sampling, without signatures.
    run(3)
    first = signatures("phash-8-5")
    run(3, dedup_method="embedding")
    assert len(signatures("embedding-local-2-5")) == len(first) == 3
    run(3, crop=False)
    whole = signatures("phash-8-5")
    a = registered(engine)[f"{RAW}/a.mp4"]
    assert a.crop is None
    assert {id for id in first if first[id] != whole[id]} == {a.id}
    # Of the other method it has none that could be right.
    assert a.id not in signatures("embedding-local-2-5")
    run(0, crop=False, phash_threshold=9)
    run(3)
    assert signatures("phash-8-5") == first
    run(1, sequence_rate=5)
    assert registered(engine)[f"{RAW}/c"].frame_rate == Fraction(5)
    # Sampling goes on with what was said then.
    assert find(engine)[f"{RAW}/c"].duration_s == 4.0


# --- killed -----------------------------------------------------------------------------------------------------------


def test_what_was_read_before_an_interrupt_is_not_read_again(workspace):
    raw = workspace.root / RAW
    for seed in range(5):
        write_video(raw / f"{seed}.mp4", seed)
    engine = one_worker(workspace)
    engine.progress = Reads(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        ingest(engine, inputs=[raw])
    assert len(registered(engine)) == 2
    again = one_worker(workspace)
    assert reads(again, lambda: ingest(again, inputs=[raw])) == 3
    assert len(registered(engine)) == 5
