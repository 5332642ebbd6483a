"""Sampling of real footage: a static camera, people walking through the picture."""

from __future__ import annotations

import csv
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pytest

from data_engine.media.decode import VideoReader
from data_engine.media.probe import probe
from data_engine.stages.sample import SampleSettings, sample_one
from data_engine.storage.local import LocalStorage
from data_engine.types import Video

pytestmark = pytest.mark.required


@pytest.fixture
def footage(shared: Path) -> Path:
    path = shared / "data/video/vtest.avi"
    if not path.is_file():
        pytest.skip("the real clip (data/video/vtest.avi) is not there")
    return path


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


@pytest.fixture
def clip(footage: Path, storage: LocalStorage) -> Video:
    return probe(footage, key=storage.key_of(footage), camera="plaza")


def numbers(video: Video, storage: LocalStorage, **settings: object) -> list[int]:
    settings = SampleSettings.model_validate(settings)
    result = sample_one(video, settings, storage, output="frames", scratch="scratch")
    assert (result.decoded, result.damage) == (795, None)
    return [round(kept.frame.pts * kept.frame.time_base * 10) for kept in result.frames]


def test_the_clip_is_described(clip):
    assert (clip.name, clip.width, clip.height, clip.codec) == ("vtest", 768, 576, "msmpeg4v3")
    assert (clip.frame_rate, clip.duration_s, clip.size_bytes) == (Fraction(10), 79.5, 8131690)


def test_every_frame_comes_at_its_time(footage):
    with VideoReader(footage, key="vtest.avi") as reader:
        times = [frame.time_s for frame in reader]
    assert times == [Fraction(n, 10) for n in range(795)]
    assert reader.damage is None


def test_the_mean_of_a_static_scene_hardly_moves(clip, storage):
    assert numbers(clip, storage, threshold=0.85) == [0]


def test_an_interval_takes_every_second(clip, storage):
    assert numbers(clip, storage, method="interval") == list(range(0, 795, 10))


def test_tiles_follow_the_people(clip, storage, shared):
    kept = numbers(clip, storage, method="tiles")
    assert 0.05 * 795 <= len(kept) <= 0.15 * 795
    # Whoever comes into the picture is on a kept frame soon.
    first, present = appearances(shared)
    waits = [min((n for n in kept if n >= start), default=10_000) - start for start in first.values()]
    assert len(waits) == 19
    assert sorted(waits)[len(waits) // 2] <= 5
    assert max(waits) <= 15
    assert all(present[track] & set(kept) for track in first)


def test_two_percent_still_show_everybody(clip, storage, shared):
    kept = numbers(clip, storage, method="tiles", budget="2%")
    assert len(kept) == 15
    first, present = appearances(shared)
    assert all(present[track] & set(kept) for track in first)


def appearances(shared: Path) -> tuple[dict[str, int], dict[str, set[int]]]:
    """By person: the first frame, and all frames, where they are."""
    first: dict[str, int] = {}
    present: dict[str, set[int]] = defaultdict(set)
    with (shared / "data/video/vtest_tracks.csv").open(newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for frame, track, *_ in rows:
            first.setdefault(track, int(frame) - 1)
            present[track].add(int(frame) - 1)
    return first, present


def test_keyframes_alone_are_decoded(clip, storage):
    settings = SampleSettings(method="keyframes")
    result = sample_one(clip, settings, storage, output="frames", scratch="scratch")
    assert result.decoded == len(result.frames) == 4


@pytest.mark.parametrize("method", ["tiles", "scene-change", "content", "interval"])
def test_a_killed_reading_goes_on_as_if_nothing_had_happened(clip, storage, method):
    class Mortal(LocalStorage):
        def write_bytes(self, key: str, data: bytes) -> None:
            if key.endswith("result.json"):
                raise KeyboardInterrupt
            super().write_bytes(key, data)

    settings = SampleSettings(method=method, threshold=0.97)
    expected = sample_one(clip, settings, storage, output="frames", scratch="whole")
    with pytest.raises(KeyboardInterrupt):
        sample_one(clip, settings, Mortal(storage.root), output="frames", scratch="killed")
    assert storage.exists(f"killed/{clip.id}/checkpoint.npz")
    assert sample_one(clip, settings, storage, output="frames", scratch="killed") == expected


def test_a_truncated_recording_gives_its_beginning(footage, storage):
    whole = probe(footage, key=storage.key_of(footage), camera="plaza")
    storage.write_bytes("cut.avi", footage.read_bytes()[:3_000_000])
    cut = probe(storage.path("cut.avi"), key="cut.avi", camera="plaza")
    settings = SampleSettings(method="interval")
    begun, complete = (sample_one(v, settings, storage, output=v.id[:4], scratch="scratch") for v in (cut, whole))
    assert begun.damage is not None
    assert begun.damage.startswith("ends after 28.6 s of 79.5 s")
    assert 28 <= len(begun.frames) <= 29
    assert [k.sha256 for k in begun.frames] == [k.sha256 for k in complete.frames[: len(begun.frames)]]
