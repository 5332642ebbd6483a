"""Few frames instead of many: limits, budgets and near-duplicates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sampled_videos import add, files, run, scene, write_pictures

from data_engine.executors.processes import ProcessExecutor
from data_engine.media.hashing import hamming
from data_engine.media.probe import probe
from data_engine.stages.sample_settings import SampleSettings
from data_engine.storage.local import LocalStorage
from data_engine.types import Failed, Video


@pytest.fixture
def storage(tmp_path) -> LocalStorage:
    return LocalStorage(tmp_path)


@pytest.fixture
def videos(storage) -> list[Video]:
    """Two of one camera and one of another; of 40, 20 and 30 scenes of a second."""
    return [
        add(storage, f"in/{camera}/{n}.mp4", scenes=scenes, frames_a_scene=2, fps=2, seed=n)
        for n, (camera, scenes) in enumerate([("a", 40), ("a", 20), ("b", 30)])
    ]


def counts(outcomes):
    return [len(outcome.frames) for outcome in outcomes]


def over(outcomes):
    return [outcome.passed.get("over the limit", 0) for outcome in outcomes]


def seconds(outcome):
    return [kept.frame.time_s for kept in outcome.frames]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"per_video_limit": 7}, [7, 7, 7]),
        ({"per_video_limit": 25}, [25, 20, 25]),
        ({"budget": "5%"}, [4, 2, 3]),
        ({"budget": "1%"}, [1, 1, 1]),
        ({"budget": "100%"}, [40, 20, 30]),
        ({"budget": "20%", "per_video_limit": 9}, [9, 8, 9]),
        ({"per_video_limit": 7, "limit": 10}, [7, 3]),
    ],
)
def test_the_best_of_each_video(storage, videos, given, kept):
    outcomes, _ = run(storage, videos, SampleSettings(**given))
    assert counts(outcomes) == kept
    assert over(outcomes) == [all_ - few for all_, few in zip([40, 20, 30], kept, strict=False)]
    assert len(files(storage)) == sum(kept)
    for outcome in outcomes:
        assert seconds(outcome) == sorted(seconds(outcome))
    # Not the first ones: they stand for the whole video.
    if given == {"per_video_limit": 7}:
        assert max(np.diff([0, *seconds(outcomes[0]), 40])) < 12


@pytest.mark.parametrize("most", [1, 2, 17, 89, 90, 91, 5000])
def test_a_number_over_all_videos_is_kept_exactly(storage, videos, most):
    outcomes, _ = run(storage, videos, SampleSettings(budget=str(most)))
    assert sum(counts(outcomes)) == len(files(storage)) == min(most, 90)
    assert sum(over(outcomes)) == max(0, 90 - most)
    if most == 17:
        assert min(counts(outcomes)) >= 3


def test_a_number_counts_what_was_kept_before(storage, videos):
    outcomes, progress = run(storage, videos, SampleSettings(budget="30"), remaining=4)
    assert sum(counts(outcomes)) == 4
    outcomes, progress = run(storage, videos, SampleSettings(budget="30"), remaining=0, output="none")
    assert (outcomes, progress.started, files(storage, "none")) == ([], [], {})


def test_a_budget_over_a_bad_video(storage, videos):
    gone = Video("1" * 32, "in/c/gone.mp4", "gone", "c", 4, 1, 1, "h264", None, None)
    outcomes, progress = run(storage, [videos[0], gone, videos[1]], SampleSettings(budget="6"))
    assert Failed(gone.id, "in/c/gone.mp4 is not there") in outcomes
    assert sum(len(outcome.frames) for outcome in outcomes if not isinstance(outcome, Failed)) == 6
    assert progress.started == [("sampling", None, "frames")]


@pytest.mark.parametrize(
    "given",
    [
        {"names": "sequential"},
        {"tolerance": 14},
        {"tolerance": 14, "budget": "12", "names": "sequential"},
        {"per_video_limit": 4},
        {"budget": "11"},
    ],
    ids=str,
)
def test_workers_change_nothing(storage, videos, given):
    settings = SampleSettings(**given)
    alone, told = run(storage, videos, settings, output="out")
    pictures = files(storage, "out")
    for key in pictures:
        storage.delete(key)
    many, also_told = run(storage, videos, settings, executor=ProcessExecutor(2), output="out", scratch="two")
    assert alone == many
    assert pictures == files(storage, "out")
    assert told.advanced == also_told.advanced == 180


# --- near-duplicates --------------------------------------------------------------------------------------------------


@pytest.fixture
def twins(storage) -> list[Video]:
    """Cameras a, a and b see scenes 0 1 2 0, then 2 3 0, and 0 1."""
    shown = {"a/1": (0, 1, 2, 0), "a/2": (2, 3, 0), "b/1": (0, 1)}
    made = []
    for name, scenes in shown.items():
        path = write_pictures(storage.path(f"in/{name}.mp4"), [scene(n) for n in scenes for _ in range(2)], fps=1)
        made.append(probe(path, key=f"in/{name}.mp4", camera=name[0]))
    return made


def near(outcomes):
    return [outcome.passed.get("near-duplicate", 0) for outcome in outcomes]


@pytest.mark.parametrize("names", ["stamped", "sequential"])
def test_what_a_camera_showed_before_is_left_out(storage, twins, names):
    outcomes, _ = run(storage, twins, SampleSettings(names=names))
    assert (counts(outcomes), near(outcomes)) == ([4, 3, 2], [0, 0, 0])
    outcomes, _ = run(storage, twins, SampleSettings(tolerance=6, names=names), output="apart")
    assert (counts(outcomes), near(outcomes)) == ([3, 1, 2], [1, 2, 0])
    assert len(files(storage, "apart")) == 6
    for camera in "ab":
        hashes = [k.frame.dhash for outcome in outcomes for k in outcome.frames if k.frame.camera == camera]
        assert min(int(hamming(*pair)) for pair in itertools.combinations(hashes, 2)) > 6


def test_what_was_kept_before_counts(storage, twins):
    whole, _ = run(storage, twins, SampleSettings(tolerance=6))
    (first,), _ = run(storage, twins[:1], SampleSettings(tolerance=6), output="parts")
    before = {"a": [kept.frame.dhash for kept in first.frames]}
    rest, _ = run(storage, twins[1:], SampleSettings(tolerance=6), output="parts", kept_before=before)
    assert counts([first, *rest]) == counts(whole)
    assert [data for _key, data in sorted(files(storage).items())] == [
        data for _key, data in sorted(files(storage, "parts").items())
    ]


@pytest.mark.parametrize(("limit", "kept"), [(2, [2]), (3, [3]), (4, [3, 1]), (5, [3, 1, 1]), (9, [3, 1, 2])])
def test_a_limit_counts_only_what_is_kept(storage, twins, limit, kept):
    outcomes, _ = run(storage, twins, SampleSettings(tolerance=6, limit=limit))
    assert counts(outcomes) == kept


def test_a_budget_is_filled_with_frames_that_are_not_near(storage, twins):
    outcomes, _ = run(storage, twins, SampleSettings(tolerance=6, budget="5"))
    assert sum(counts(outcomes)) == 5
    assert (sum(near(outcomes)), sum(over(outcomes))) == (3, 1)
