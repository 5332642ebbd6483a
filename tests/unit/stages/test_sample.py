from __future__ import annotations

import hashlib
import pickle
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from data_engine.errors import DamagedInputError, StorageFullError
from data_engine.executors.inline import InlineExecutor
from data_engine.executors.processes import ProcessExecutor
from data_engine.media.hashing import dhash_of_file
from data_engine.media.probe import probe
from data_engine.stages.sample import SampleSettings, frame_name, sample, sample_one
from data_engine.storage.local import LocalStorage
from data_engine.types import Failed, Sampled, Video, content_id


class Recorder:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int | None, str]] = []
        self.advanced = 0
        self.notes: list[str] = []
        self.finished = 0

    def start(self, label: str, total: int | None, unit: str) -> None:
        self.started.append((label, total, unit))

    def advance(self, amount: int = 1) -> None:
        self.advanced += amount

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None:
        self.finished += 1


def write_video(path: Path, scenes: int = 4, frames_a_scene: int = 10, seed: int = 0) -> Path:
    """A video of 25 frames a second whose picture changes altogether every ``frames_a_scene`` frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 120, "yuv420p", 5
        for number in range(scenes * frames_a_scene):
            rng = np.random.default_rng([seed, number // frames_a_scene])
            blocks = rng.integers(0, 256, (15, 20, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(blocks, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def add(storage: LocalStorage, key: str, **options: int) -> Video:
    return probe(write_video(storage.path(key), **options), key=key, camera=key.split("/")[-2])


def run(storage, videos, settings=None, *, executor=None, **options):
    progress = Recorder()
    outcomes = list(
        sample(
            videos,
            settings or SampleSettings(),
            storage=storage,
            executor=executor or InlineExecutor(),
            progress=progress,
            output=options.pop("output", "frames"),
            **options,
        )
    )
    return outcomes, progress


def files(storage: LocalStorage, folder: str = "frames") -> dict[str, bytes]:
    return {key: storage.read_bytes(key) for key in storage.list(folder)}


# --- one video --------------------------------------------------------------------------------------------------------


def test_each_scene_gives_one_frame_with_its_record(storage):
    video = add(storage, "videos_raw/gate 1/Süd tor.mp4")
    result = sample_one(video, SampleSettings(), storage, output="frames")
    assert (result.video, result.decoded, result.damage) == (video, 40, None)
    assert [kept.frame.time_s for kept in result.frames] == [0.0, 0.4, 0.8, 1.2]
    assert result.frames[0].similarity is None
    assert all(kept.similarity < 0.5 for kept in result.frames[1:])
    for kept in result.frames:
        frame = kept.frame
        assert frame.id == content_id("frame", video.id, frame.pts, str(frame.time_base))
        assert re.fullmatch(r"Süd_tor_\d{8}_[0-9a-f]{8}\.jpg", frame.name)
        assert frame.name.endswith(f"_{frame.id[:8]}.jpg")
        assert frame.key == f"frames/{frame.name}"
        assert (frame.camera, frame.video_id) == ("gate 1", video.id)
        data = storage.read_bytes(frame.key)
        assert hashlib.sha256(data).hexdigest() == kept.sha256
        assert frame.dhash == dhash_of_file(storage.path(frame.key))
        with Image.open(storage.path(frame.key)) as image:
            assert image.size == (frame.width, frame.height) == (160, 120)
    assert len(files(storage)) == 4


def test_what_is_saved_is_the_picture_of_that_moment(storage):
    video = add(storage, "in/a.mp4")
    result = sample_one(video, SampleSettings(quality=100), storage, output="frames")
    with av.open(str(storage.path(video.key))) as container:
        shown = {frame.pts * frame.time_base: frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}
    for kept in result.frames:
        with Image.open(storage.path(kept.frame.key)) as image:
            saved = np.asarray(image.convert("RGB")).astype(int)
        # Blocks of random colours are hard on JPEG's halved colour planes: only their edges differ.
        difference = np.abs(saved - shown[kept.frame.pts * kept.frame.time_base])
        assert np.median(difference) <= 2
        assert difference.mean() < 12


def test_a_second_run_writes_the_same_bytes(storage):
    video = add(storage, "in/a.mp4")
    first = sample_one(video, SampleSettings(), storage, output="frames")
    before = files(storage)
    assert sample_one(video, SampleSettings(), storage, output="frames") == first
    assert files(storage) == before


def test_interval(storage):
    video = add(storage, "in/a.mp4")
    result = sample_one(video, SampleSettings(method="interval", interval=0.5), storage, output="frames")
    assert [kept.frame.time_s for kept in result.frames] == [0.0, 0.52, 1.0, 1.52]
    assert all(kept.similarity is None for kept in result.frames)


def test_tiles_and_minimum_gap(storage):
    video = add(storage, "in/a.mp4")
    result = sample_one(video, SampleSettings(method="tiles"), storage, output="a")
    assert [kept.frame.time_s for kept in result.frames] == [0.0, 0.44, 0.84, 1.24]
    result = sample_one(video, SampleSettings(min_gap=0.6), storage, output="b")
    assert [kept.frame.time_s for kept in result.frames] == [0.0, 0.6, 1.2]


def test_threshold_and_quality_matter(storage):
    video = add(storage, "in/a.mp4")
    lax = sample_one(video, SampleSettings(threshold=0.0), storage, output="a")
    assert len(lax.frames) < 4
    low, high = (sample_one(video, SampleSettings(quality=q), storage, output=str(q)).frames[0] for q in (30, 95))
    assert storage.size(low.frame.key) < storage.size(high.frame.key)


def test_a_limit_stops_reading(storage):
    video = add(storage, "in/a.mp4")
    result = sample_one(video, SampleSettings(), storage, output="frames", limit=2)
    assert [kept.frame.time_s for kept in result.frames] == [0.0, 0.4]
    assert result.decoded == 11


def test_a_truncated_video_gives_what_is_there_and_says_so(storage):
    video = add(storage, "in/a.mp4")
    path = storage.path(video.key)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    outcomes, progress = run(storage, [video])
    assert 0 < len(outcomes[0].frames) < 4
    assert re.match(r"ends after \d\.\d s of 1\.6 s", outcomes[0].damage)
    assert progress.notes == [f"a.mp4: {outcomes[0].damage}"]


# --- many videos ------------------------------------------------------------------------------------------------------


def test_equal_file_names_do_not_collide(storage):
    videos = [add(storage, f"in/{camera}/cam.mp4", seed=n) for n, camera in enumerate(["a", "b", "c"])]
    outcomes, progress = run(storage, videos)
    assert [outcome.video for outcome in outcomes] == videos
    names = [kept.frame.name for outcome in outcomes for kept in outcome.frames]
    assert len(names) == len(set(names)) == len(files(storage)) == 12
    assert (progress.started, progress.advanced, progress.finished) == ([("sampling", 3, "videos")], 3, 1)


def test_workers_change_nothing(storage):
    videos = [add(storage, f"in/c{n}/v.mp4", seed=n) for n in range(3)]
    alone, _ = run(storage, videos, output="alone")
    many, _ = run(storage, videos, executor=ProcessExecutor(2), output="many")
    assert [[k.frame.id for k in o.frames] for o in alone] == [[k.frame.id for k in o.frames] for o in many]
    assert list(files(storage, "alone").values()) == list(files(storage, "many").values())


@pytest.mark.parametrize("settings", [SampleSettings(), SampleSettings(names="sequential")])
def test_a_bad_video_is_one_failure_among_good_ones(storage, settings):
    good = [add(storage, f"in/c/{name}.mp4", seed=n) for n, name in enumerate("ab")]
    text = Video("0" * 32, "in/c/text.mp4", "text", "c", 4, 1, 1, "h264", None, None)
    gone = Video("1" * 32, "in/c/gone.mp4", "gone", "c", 4, 1, 1, "h264", None, None)
    storage.write_bytes(text.key, b"text")
    outcomes, _ = run(storage, [good[0], text, gone, good[1]], settings)
    assert isinstance(outcomes[0], Sampled)
    assert outcomes[1] == Failed(text.id, "in/c/text.mp4 is not a video: its content is of no known video format")
    assert outcomes[2] == Failed(gone.id, "in/c/gone.mp4 is not there")
    assert isinstance(outcomes[3], Sampled)
    assert len(files(storage)) == 8


def test_sequential_names_count_on_over_the_videos(storage):
    videos = [add(storage, f"in/c/{n}.mp4", seed=n) for n in range(2)]
    outcomes, _ = run(storage, videos, SampleSettings(names="sequential"), first_number=7)
    names = [kept.frame.name for outcome in outcomes for kept in outcome.frames]
    assert names == [f"frame_{number:05d}.jpg" for number in range(7, 15)]
    assert list(files(storage)) == [f"frames/{name}" for name in names]


@pytest.mark.parametrize(
    ("limit", "remaining", "counts"),
    [(6, None, [4, 2]), (6, 3, [3]), (4, None, [4]), (None, 0, []), (99, 99, [4, 4, 4])],
)
def test_a_limit_counts_over_all_videos(storage, limit, remaining, counts):
    videos = [add(storage, f"in/c/{n}.mp4", seed=n) for n in range(3)]
    outcomes, _ = run(storage, videos, SampleSettings(limit=limit), remaining=remaining)
    assert [len(outcome.frames) for outcome in outcomes] == counts
    assert len(files(storage)) == sum(counts)


def test_a_limited_run_keeps_the_first_frames_of_an_unlimited_one(storage):
    videos = [add(storage, f"in/c/{n}.mp4", seed=n) for n in range(2)]
    run(storage, videos, output="all")
    run(storage, videos, SampleSettings(limit=5), output="five")
    whole, five = files(storage, "all"), files(storage, "five")
    assert len(five) == 5
    assert all(whole[key.replace("five/", "all/")] == data for key, data in five.items())


def test_a_full_disk_ends_the_run(storage):
    class Full(LocalStorage):
        def write_bytes(self, key: str, data: bytes) -> None:
            raise StorageFullError(f"the disk is full: {key} was not written")

    video = add(storage, "in/a.mp4")
    progress = Recorder()
    outcomes = sample(
        [video],
        SampleSettings(),
        storage=Full(storage.root),
        executor=InlineExecutor(),
        progress=progress,
        output="frames",
    )
    with pytest.raises(StorageFullError):
        next(outcomes)
    assert progress.finished == 1


def test_closing_early_reads_no_further_video(storage):
    videos = [add(storage, f"in/c/{n}.mp4", seed=n) for n in range(3)]
    progress = Recorder()
    outcomes = sample(
        videos, SampleSettings(), storage=storage, executor=InlineExecutor(), progress=progress, output="frames"
    )
    next(outcomes)
    outcomes.close()
    assert progress.finished == 1
    assert len(files(storage)) == 4


def test_a_video_without_a_frame_is_refused(storage):
    video = add(storage, "in/a.mp4")
    path = storage.path(video.key)
    data = path.read_bytes()
    start = data.index(b"mdat") + 4
    path.write_bytes(data[:start] + b"\xff" * (len(data) - start))
    with pytest.raises(DamagedInputError, match="not one of its frames can be decoded"):
        sample_one(video, SampleSettings(), storage, output="frames")
    assert files(storage) == {}


# --- names and settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("video", "part"),
    [
        ("vtest", "vtest"),
        ("Halle 3 – Süd", "Halle_3_Süd"),
        ("カメラ1", "カメラ1"),
        ("कैमरा", "कैमरा"),
        ("../../etc/passwd", "etc_passwd"),
        ("a:b*c?d", "a_b_c_d"),
        ("2026-01-02 10.30", "2026-01-02_10.30"),
        ("...", "video"),
        ("Su\u0308d", "Süd"),
    ],
)
def test_frame_names(video, part):
    assert frame_name(video, Fraction(1001, 30), "0123456789abcdef") == f"{part}_00033367_01234567.jpg"


def test_frame_names_fit_into_a_file_system():
    name = frame_name("長" * 300, Fraction(0), "f" * 32)
    assert len(name.encode()) < 200
    assert name.endswith("_00000000_ffffffff.jpg")


def test_only_what_changes_the_result_is_in_the_fingerprint():
    plain = SampleSettings().fingerprint()
    assert SampleSettings(workers=7, interval=9, tile_change=0.9, tile_seconds=9).fingerprint() == plain
    for other in (
        {"threshold": 0.8},
        {"min_gap": 1},
        {"limit": 5},
        {"quality": 80},
        {"names": "sequential"},
        {"method": "tiles"},
        {"method": "interval"},
    ):
        assert SampleSettings(**other).fingerprint() != plain
    assert SampleSettings(method="tiles", threshold=0.1) != SampleSettings(method="tiles")
    assert SampleSettings(method="tiles", threshold=0.1).fingerprint() == SampleSettings(method="tiles").fingerprint()


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "magic"},
        {"threshold": 1.1},
        {"threshold": float("nan")},
        {"interval": 0},
        {"interval": float("inf")},
        {"min_gap": -1},
        {"limit": 0},
        {"quality": 0},
        {"workers": -1},
        {"unknown": 1},
    ],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValidationError):
        SampleSettings(**bad)


def test_every_setting_is_described_and_work_can_travel(storage):
    assert all(field.description for field in SampleSettings.model_fields.values())
    assert pickle.loads(pickle.dumps(SampleSettings(limit=3))) == SampleSettings(limit=3)
