"""The drawn footage: the same from the same seed, and a truth that agrees with the decoded pixels."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.demo.camera import Take
from data_engine.demo.footage import (
    CLASSES,
    HELMET,
    NO_HELMET,
    PERSON,
    TRUTH_FILE,
    Clip,
    Footage,
    make_footage,
)
from data_engine.demo.plan import Leg, Visit
from data_engine.demo.scene import LANES, Scene, draw_scene
from data_engine.demo.sprites import Look
from data_engine.errors import DamagedInputError, MissingInputError, UsageError

FPS = Fraction(30000, 4004)
"""About 7.49 frames a second: not a whole number, as broadcast rates are not."""


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    folder = tmp_path_factory.mktemp("Halle 3 – früh")
    return make_footage(folder, seed=5, cameras=3, seconds=36, fps=FPS, size=(256, 192))


def decoded(footage: Footage, clip: Clip) -> list[tuple[Fraction, np.ndarray]]:
    with av.open(str(footage.path(clip))) as container:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24").astype(np.int16))
            for frame in container.decode(video=0)
        ]


def test_same_seed_same_bytes_and_truth_whatever_else_is_filmed(tmp_path: Path) -> None:
    def make(name: str, **changed: int) -> Footage:
        arguments = {"seed": 3, "cameras": 1, "clips": 1} | changed
        return make_footage(tmp_path / name, seconds=4, fps=Fraction(5), size=(160, 120), **arguments)

    first, again, more, other = make("a"), make("b"), make("c", cameras=2, clips=2), make("d", seed=4)
    assert (tmp_path / "a" / TRUTH_FILE).read_bytes() == (tmp_path / "b" / TRUTH_FILE).read_bytes()
    clip = first.clips[0]
    assert first.path(clip).read_bytes() == again.path(clip).read_bytes() == more.path(clip).read_bytes()
    assert more.clips[0] == clip
    assert [entry.name for entry in more.clips] == [f"camera-{c}-clip-{k}" for c in (1, 2) for k in (1, 2)]
    assert len({more.path(entry).read_bytes() for entry in more.clips}) == 4
    assert first.path(clip).read_bytes() != other.path(clip).read_bytes()


def test_every_presented_frame_has_its_own_truth(footage: Footage) -> None:
    for clip in footage.clips:
        with av.open(str(footage.path(clip))) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            assert container.streams.video[0].average_rate == FPS
        times = [time for time, _ in decoded(footage, clip)]
        assert times == [index / FPS for index in range(len(clip.frames))]
        for index, time in enumerate(times):
            truth = list(clip.frames[index])
            for asked in (time, float(time), round(float(time), 3)):
                assert footage.boxes_at(clip.name, asked) == footage.boxes_at(f"{clip.name}.mp4", asked) == truth


@given(
    rate=st.fractions(min_value=1, max_value=120, max_denominator=1001),
    index=st.integers(0, 200_000),
)
def test_time_finds_the_frame_at_any_rate(rate: Fraction, index: int) -> None:
    frames = _Numbered()
    footage = Footage(Path(), (Clip("a", "a", "a/a.mp4", rate, (160, 120), frames),))  # type: ignore[arg-type]
    assert footage.boxes_at("a", float(index / rate)) == [(PERSON, (index, 0, 1, 1))]


class _Numbered:
    """Very many frames, each with one box that says which it is."""

    def __len__(self) -> int:
        return 200_001

    def __getitem__(self, index: int) -> list[tuple[str, tuple[int, int, int, int]]]:
        return [(PERSON, (index, 0, 1, 1))]


def test_time_of_no_frame_is_refused(footage: Footage) -> None:
    clip = footage.clips[0]
    for time in (-1 / FPS, len(clip.frames) / FPS, 0.5 / FPS, 3 / FPS + Fraction(2, 1000)):
        with pytest.raises(ValueError, match=r"camera-1-clip-1 presents no frame at -?\d+\.\d{6} s"):
            footage.boxes_at(clip.name, time)
    with pytest.raises(KeyError):
        footage.boxes_at("camera-9-clip-1", 0.0)


def test_boxes_lie_in_the_picture_and_carry_known_labels(footage: Footage) -> None:
    for clip in footage.clips:
        for frame in clip.frames:
            for label, (x, y, w, h) in frame:
                assert label in CLASSES
                assert x >= 0
                assert y >= 0
                assert w > 0
                assert h > 0
                assert x + w <= clip.size[0]
                assert y + h <= clip.size[1]


def test_bare_heads_are_rare_and_in_every_clip(footage: Footage) -> None:
    for clip in footage.clips:
        rare = [any(label == NO_HELMET for label, _ in frame) for frame in clip.frames]
        assert 0.04 <= np.mean(rare) <= 0.16
        # In bursts: far fewer changes than frames.
        assert np.count_nonzero(np.diff(rare)) <= 0.5 * np.count_nonzero(rare)
    labels = [label for clip in footage.clips for frame in clip.frames for label, _ in frame]
    assert labels.count(HELMET) > 4 * labels.count(NO_HELMET)
    assert sum(not frame for clip in footage.clips for frame in clip.frames) > 20


def test_what_moves_is_inside_the_boxes_and_the_rest_stands_still(footage: Footage) -> None:
    for clip in footage.clips:
        frames = [picture for _, picture in decoded(footage, clip)]
        empty = np.median(frames[::5], axis=0).astype(np.int16)
        inside = outside = 0
        for picture, truth in zip(frames, clip.frames, strict=True):
            moved = np.abs(picture - empty).max(axis=2) > 60
            moved[:16] = False  # the recorder's clock
            covered = np.zeros_like(moved)
            for _, (x, y, w, h) in truth:
                covered[y : y + h, x : x + w] = True
            inside += np.count_nonzero(moved & covered)
            outside += np.count_nonzero(moved & ~covered)
        assert inside > 20 * outside
        assert inside > 1000


def test_helmet_colours_are_in_helmet_boxes_and_not_on_bare_heads(footage: Footage) -> None:
    shares: dict[str, list[float]] = {HELMET: [], NO_HELMET: []}
    for clip in footage.clips:
        for (_, picture), truth in zip(decoded(footage, clip), clip.frames, strict=True):
            for label, (x, y, w, h) in truth:
                if label in shares and w >= 12 and h >= 14:  # a whole head
                    shares[label].append(_shell(picture[y : y + h // 2, x : x + w]))
    assert len(shares[NO_HELMET]) > 20
    assert np.median(shares[HELMET]) > 0.3
    assert np.mean(np.array(shares[HELMET]) > 0.15) > 0.9
    assert np.mean(np.array(shares[NO_HELMET]) < 0.15) > 0.75


def _shell(pixels: np.ndarray) -> float:
    """Share of the pixels that are as bright and colourful, or as white, as a helmet's shell."""
    high, low = pixels.max(axis=2), pixels.min(axis=2)
    colourful = (high - low > 90) & (high > 115)
    white = (low > 165) & (high - low < 30)
    return float(np.mean(colourful | white))


# --- what hides and what is cut off ----------------------------------------------------------------------------------


def take_of(scene: Scene, *visits: Visit) -> Take:
    return Take(scene, visits, np.random.default_rng(0), "CAM", 0)


def standing(x: float, y: float, *, bare: bool = False) -> Visit:
    look = Look.drawn_by(np.random.default_rng(1))
    leg = Leg(0.0, 10.0, (x, y), (x, y), "stand", "front", True)
    return Visit(look, (leg,), (0.0, 10.0) if bare else (0.0, 0.0))


@pytest.fixture(scope="module")
def hall() -> Scene:
    scene = draw_scene(np.random.default_rng(0), (320, 240), 0)
    return replace(scene, depth=np.zeros_like(scene.depth))


def test_a_worker_has_a_head_with_or_without_helmet(hall: Scene) -> None:
    for bare, head in ((False, HELMET), (True, NO_HELMET)):
        _, boxes = take_of(hall, standing(200, 250, bare=bare)).frame(1.0)
        assert [label for label, _ in boxes] == [PERSON, head]
        (_, (px, py, pw, ph)), (_, (hx, hy, hw, hh)) = boxes
        assert px <= hx
        assert py == hy
        assert hx + hw <= px + pw
        assert 0.15 * ph < hh < 0.35 * ph


def test_behind_an_object_only_what_is_seen_is_in_the_truth(hall: Scene) -> None:
    visit = standing(200, 250)
    _, whole = take_of(hall, visit).frame(1.0)
    (_, (x, y, _, h)), _ = whole

    def hidden_below(share: float) -> list[tuple[str, tuple[float, float, float, float]]]:
        depth = hall.depth.copy()
        depth[int(y + h * (1 - share)) :] = 240
        return list(take_of(replace(hall, depth=depth), visit).frame(1.0)[1])

    half = hidden_below(0.5)
    assert [label for label, _ in half] == [PERSON, HELMET]
    assert half[0][1] == (x, y, half[0][1][2], int(y + h * 0.5) - y)
    assert [label for label, _ in hidden_below(0.78)] == [HELMET]  # a head over a wall of cartons
    assert hidden_below(1.0) == []
    # An object that stands farther away hides nothing.
    assert list(take_of(replace(hall, depth=np.full_like(hall.depth, 100)), visit).frame(1.0)[1]) == list(whole)


def test_somebody_behind_somebody_is_not_in_the_truth(hall: Scene) -> None:
    near, far = standing(200, LANES[1]), standing(200, LANES[1] - 1)
    _, boxes = take_of(hall, far, near).frame(1.0)
    assert [label for label, _ in boxes] == [PERSON, HELMET]
    _, boxes = take_of(hall, standing(120, 250), near).frame(1.0)
    assert [label for label, _ in boxes].count(PERSON) == 2


def test_at_the_edge_boxes_are_cut_off_and_outside_there_are_none(hall: Scene) -> None:
    _, boxes = take_of(hall, standing(0, 250)).frame(1.0)
    assert [(label, xywh[0]) for label, xywh in boxes] == [(PERSON, 0), (HELMET, 0)]
    assert take_of(hall, standing(-20, 250)).frame(1.0)[1] == ()
    assert take_of(hall, standing(-200, 250)).frame(1.0)[1] == ()
    assert take_of(hall, standing(200, 250)).frame(11.0)[1] == ()


# --- the sidecar and wrong use ---------------------------------------------------------------------------------------


def test_truth_is_read_back_as_it_was(footage: Footage) -> None:
    loaded = Footage.load(footage.folder)
    assert loaded == footage
    assert all(loaded.path(clip).is_file() for clip in loaded.clips)


def test_missing_or_damaged_truth_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"truth\.json is not there"):
        Footage.load(tmp_path)
    file = tmp_path / TRUTH_FILE
    for content in (
        "no json",
        json.dumps([]),
        json.dumps({"format": "x"}),
        json.dumps({"format": "dataengine-footage-1"}),
    ):
        file.write_text(content, "utf-8")
        with pytest.raises(DamagedInputError, match=r"truth\.json"):
            Footage.load(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"size": (161, 120)}, {"size": (64, 48)}, {"cameras": 0}, {"clips": 0}, {"fps": Fraction(0)}, {"seconds": 0.01}],
)
def test_what_makes_no_video_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    arguments = {"seed": 0, "cameras": 1, "seconds": 2.0, "fps": Fraction(5), "size": (160, 120)} | wrong
    with pytest.raises(UsageError):
        make_footage(tmp_path / "none", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()
