from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.pool import FramePool
from data_engine.types import Detections, Frame


def frame(number: int, *, camera: str = "gate", video: str | None = "v", dhash: int | None = 0) -> Frame:
    timed = video is not None
    return Frame(
        id=f"f{number:03}",
        name=f"f{number:03}.jpg",
        key=f"frames/f{number:03}.jpg",
        width=640,
        height=480,
        camera=camera,
        video_id=video,
        pts=number if timed else None,
        time_base=Fraction(1, 2) if timed else None,
        dhash=dhash,
    )


def boxes(count: int, left: float) -> Detections:
    xyxy = np.array([[left + i, 0, left + i + 10, 10] for i in range(count)], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.full((count, 2), 0.25, np.float32))


def test_frames_are_ordered_and_boxes_move_with_them() -> None:
    frames = [frame(3), frame(1), frame(2, camera="dock"), frame(4, video=None), frame(0)]
    seen = {f.id: boxes(number, 100 * number) for number, f in enumerate(frames)}
    pool = FramePool.of(frames, seen, ("a", "b"))
    assert pool.frame_ids == ("f002", "f000", "f001", "f003", "f004")
    assert pool.cameras == ("dock", "gate", "gate", "gate", "gate")
    assert pool.video_ids == ("v", "v", "v", "v", None)
    assert pool.offsets is not None
    assert pool.xyxy is not None
    for row, frame_id in enumerate(pool.frame_ids):
        mine = pool.xyxy[pool.offsets[row] : pool.offsets[row + 1]]
        np.testing.assert_array_equal(mine, seen[frame_id].xyxy)
    assert pool.camera_of.tolist() == [0, 1, 1, 1, 1]
    assert pool.video_of.tolist() == [0, 1, 1, 1, -1]
    assert np.isnan(pool.times_s[-1])
    np.testing.assert_array_equal(pool.neighbour_gap_s, [np.inf, 0.5, 1.0, np.inf, np.inf])


def test_a_missing_hash_is_not_the_hash_zero() -> None:
    pool = FramePool.of([frame(0), frame(1, dhash=None), frame(2, dhash=2**64 - 1)])
    assert pool.hashed is not None
    assert pool.hashed.tolist() == [True, False, True]
    assert int(pool.dhashes[2]) == 2**64 - 1


def test_nothing_to_choose_from() -> None:
    assert len(FramePool.of([])) == 0
    assert len(FramePool.of([], {}, ("a",)).neighbour_gap_s) == 0


def arrays(**changes: object) -> dict[str, object]:
    return {
        "frame_ids": ("a", "b"),
        "cameras": ("c", "c"),
        "video_ids": ("v", "v"),
        "times_s": np.array([0.0, 1.0]),
        "dhashes": np.zeros(2, np.uint64),
        "offsets": np.array([0, 1, 1]),
        "xyxy": np.zeros((1, 4), np.float32),
        "scores": np.zeros((1, 2), np.float32),
        "class_names": ("x", "y"),
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cameras": ("c",)}, "2 frame ids"),
        ({"times_s": np.zeros(3)}, r"times_s must have the shape \(2,\)"),
        ({"frame_ids": ("a", "a")}, "in the pool twice"),
        ({"offsets": None}, "come together"),
        ({"offsets": np.array([0, 2, 1])}, "offsets must climb"),
        ({"offsets": np.array([0, 1])}, "offsets must climb"),
        ({"scores": np.zeros((1, 3), np.float32)}, r"got \(1, 4\) and \(1, 3\)"),
        ({"xyxy": np.full((1, 4), np.nan, np.float32)}, "NaN"),
        ({"scores": np.full((1, 2), 1.5, np.float32)}, "0..1"),
    ],
)
def test_arrays_that_disagree_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FramePool(**arrays(**changes))  # type: ignore[arg-type]


def test_a_frame_without_prediction_is_named() -> None:
    with pytest.raises(ValueError, match=r"1 frames have no prediction, the first is f001.jpg"):
        FramePool.of([frame(0), frame(1)], {"f000": boxes(1, 0)}, ("a", "b"))
    with pytest.raises(ValueError, match=r"f000.jpg: predicted for 2 classes, the model has 1"):
        FramePool.of([frame(0)], {"f000": boxes(1, 0)}, ("a",))


names = st.sampled_from(["", "a", "b", "ä", "B", "\U0001f600"])


@given(
    st.lists(
        st.tuples(names, st.none() | names, st.sampled_from([0.0, -0.0, 1.5, math.inf, math.nan])),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_is_that_of_camera_video_time_and_id(
    rows: list[tuple[str, str | None, float]], chance: random.Random
) -> None:
    ids = [f"f{number}" for number in range(len(rows))]
    chance.shuffle(ids)
    pool = FramePool(
        tuple(ids),
        tuple(camera for camera, _, _ in rows),
        tuple(video for _, video, _ in rows),
        np.array([time for _, _, time in rows], np.float64),
        np.arange(len(rows), dtype=np.uint64),
    )
    keys = [
        (camera, video is None, video or "", math.inf if math.isnan(time) else time, frame_id)
        for (camera, video, time), frame_id in zip(rows, ids, strict=True)
    ]
    expected = sorted(range(len(rows)), key=keys.__getitem__)
    assert pool.frame_ids == tuple(ids[row] for row in expected)
    assert pool.dhashes.tolist() == expected


def test_days_are_numbered_and_unknown_ones_are_not() -> None:
    frames = [frame(2), frame(0), frame(1)]
    pool = FramePool.of(frames, days={"f001": "2026-11-28", "f002": "2026-11-27"})
    assert pool.days == ("", "2026-11-28", "2026-11-27")
    assert pool.day_of.tolist() == [-1, 0, 1]
    assert FramePool.of(frames).day_of.tolist() == [-1, -1, -1]
