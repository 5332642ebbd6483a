from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from sampled_videos import SCRATCH, Recorder, add, files, run, sample_one, scene, write_pictures

from data_engine.errors import DamagedInputError, StorageFullError
from data_engine.executors.inline import InlineExecutor
from data_engine.executors.processes import ProcessExecutor
from data_engine.media.hashing import dhash_of_file
from data_engine.media.probe import probe
from data_engine.stages.frame_names import frame_name
from data_engine.stages.sample import sample
from data_engine.stages.sample_settings import SampleSettings
from data_engine.storage.local import LocalStorage
from data_engine.types import Failed, Sampled, Video, content_id


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


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


@pytest.mark.parametrize(
    ("settings", "seconds", "reason"),
    [
        ({"method": "tiles"}, [0, 6, 11, 16], "changed"),
        ({"method": "content"}, [0, 5, 10, 15], "cut"),
        ({"method": "keyframes", "min_gap": 5}, [0, 5, 10, 15], "keyframe"),
        ({"method": "interval", "interval": 7}, [0, 7, 14], "interval"),
        ({"min_gap": 6}, [0, 6, 12, 18], "changed"),
        ({"threshold": 0, "max_gap": 9}, [0, 9, 18], "max-gap"),
    ],
)
def test_methods_and_gaps(storage, settings, seconds, reason):
    video = add(storage, "in/a.mp4", frames_a_scene=5, fps=1)
    result = sample_one(video, SampleSettings(**settings), storage, output="a")
    assert [kept.frame.time_s for kept in result.frames] == seconds
    assert [kept.reason for kept in result.frames] == ["first", *[reason] * (len(seconds) - 1)]
    assert result.decoded == (4 if settings.get("method") == "keyframes" else 20)


def test_looking_now_and_then_keeps_what_stays(storage):
    video = add(storage, "in/a.mp4")
    result = sample_one(video, SampleSettings(look_gap=0.3), storage, output="a")
    assert [kept.frame.time_s for kept in result.frames] == [0.0, 0.64, 0.96, 1.28]


def test_black_blurred_and_frozen_frames_are_counted_not_kept(storage):
    def picture(number: int) -> np.ndarray:
        if number < 5:
            return np.zeros((120, 160, 3), np.uint8)
        sharp = scene(min(number, 20))
        return sharp if number != 8 else cv2.GaussianBlur(sharp, (0, 0), 12)

    write_pictures(storage.path("in/a.mp4"), [picture(number) for number in range(60)], fps=1)
    video = probe(storage.path("in/a.mp4"), key="in/a.mp4", camera="c")
    settings = {"method": "interval", "frozen_after": 20, "min_sharpness": 0.2}
    result = sample_one(video, SampleSettings(**settings), storage, output="a")
    passed = dict(result.passed)
    assert (passed["black"], passed["blurred"]) == (5, 1)
    assert 10 <= passed["frozen"] <= 21
    assert len(result.frames) == 60 - sum(passed.values())
    # What is frozen is counted once an interval, and where two looks are too far apart to tell, it is kept.
    often = sample_one(video, SampleSettings(**settings, interval=5), storage, output="c")
    assert 1 <= often.passed["frozen"] <= 4
    seldom = sample_one(video, SampleSettings(**settings, interval=20), storage, output="d")
    assert "frozen" not in seldom.passed
    assert [int(kept.frame.time_s) for kept in result.frames][:5] == [5, 6, 7, 9, 10]
    off = {"method": "interval", "frozen_after": 0, "min_brightness": 0}
    assert sample_one(video, SampleSettings(**off), storage, output="b").passed == {}


def test_borders_are_cut_off_unless_that_is_not_wanted(storage):
    video = replace(add(storage, "in/a.mp4"), crop=(16, 8, 96, 80))
    cut = sample_one(video, SampleSettings(), storage, output="a").frames
    whole = sample_one(video, SampleSettings(crop=False), storage, output="b").frames
    for kept, other in zip(cut, whole, strict=True):
        frame = kept.frame
        assert (frame.width, frame.height, frame.crop) == (96, 80, (16, 8, 96, 80))
        assert frame.id == content_id("frame", video.id, frame.pts, str(frame.time_base), "crop 16,8,96,80")
        assert (other.frame.crop, other.frame.width) == (None, 160)
        assert other.frame.id == content_id("frame", video.id, frame.pts, str(frame.time_base))
        with Image.open(storage.path(frame.key)) as one, Image.open(storage.path(other.frame.key)) as both:
            difference = np.abs(np.asarray(one).astype(int) - np.asarray(both)[8:88, 16:112])
        assert np.median(difference) <= 3


def test_a_folder_of_numbered_pictures_is_a_video(storage):
    for number in range(12):
        path = storage.path(f"in/door/{number:04d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(number // 4)).save(path)
    video = Video("5" * 32, "in/door", "door", "door", 1, 160, 120, "image sequence", Fraction(2), 6.0)
    (result,), progress = run(storage, [video])
    assert [kept.frame.time_s for kept in result.frames] == [0, 2, 4]
    assert (result.decoded, progress.advanced) == (12, 12)


def test_part_of_the_picture_is_ignored(storage):
    pictures = [scene(0) for _number in range(20)]
    for number, picture in enumerate(pictures):
        picture[:32, :96] = scene(1 + number // 5)[:32, :96]
    write_pictures(storage.path("in/a.mp4"), pictures, fps=1)
    video = probe(storage.path("in/a.mp4"), key="in/a.mp4", camera="c")
    settings = SampleSettings(threshold=0.97)
    assert len(sample_one(video, settings, storage, output="a").frames) == 4
    settings = SampleSettings(threshold=0.97, ignore=("0,0,60,32", "50,0,46,32"))
    assert len(sample_one(video, settings, storage, output="b").frames) == 1


def test_threshold_and_quality_matter(storage):
    video = add(storage, "in/a.mp4")
    lax = sample_one(video, SampleSettings(threshold=0.0), storage, output="a")
    assert len(lax.frames) < 4
    low, high = (sample_one(video, SampleSettings(quality=q), storage, output=str(q)).frames[0] for q in (30, 95))
    assert storage.size(low.frame.key) < storage.size(high.frame.key)


def test_a_limit_stops_reading(storage):
    video = add(storage, "in/a.mp4")
    (result,), _ = run(storage, [video], SampleSettings(limit=2))
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
    assert (progress.started, progress.advanced, progress.finished) == ([("sampling", 120, "frames")], 120, 1)


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
        scratch=SCRATCH,
    )
    with pytest.raises(StorageFullError):
        next(outcomes)
    assert progress.finished == 1


def test_closing_early_reads_no_further_video(storage):
    videos = [add(storage, f"in/c/{n}.mp4", seed=n) for n in range(3)]
    progress = Recorder()
    outcomes = sample(
        videos,
        SampleSettings(),
        storage=storage,
        executor=InlineExecutor(),
        progress=progress,
        output="frames",
        scratch=SCRATCH,
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


# --- names -----------------------------------------------------------------------------------------------------------


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
