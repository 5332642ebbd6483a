from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from drawn_frames import frame, picks_of, stored
from hypothesis import given, settings
from hypothesis import strategies as st
from scenedetect import AdaptiveDetector, SceneDetector, detect, open_video
from scenedetect.scene_manager import SceneManager

from data_engine.media.content import ContentPicker
from data_engine.media.decode import VideoReader
from data_engine.media.frame import DecodedFrame
from data_engine.media.max_gap import MaxGap


def shot(seed: int, frames: int, width: int = 320, height: int = 240) -> list[np.ndarray]:
    """A coloured view over which the camera pans, with sensor noise."""
    random = np.random.default_rng(seed)
    step = width // 100
    view = cv2.resize(random.integers(0, 256, (6, 10, 3)).astype(np.float32), (width + step * frames, height))
    return [
        np.clip(view[:, step * n : step * n + width] + random.normal(0, 3, (height, width, 3)), 0, 255).astype(np.uint8)
        for n in range(frames)
    ]


def write(path: Path, pictures: list[np.ndarray], rate: Fraction) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def answers(picker: ContentPicker, frames) -> list[tuple[int, str]]:
    return [(pick.frame.pts, pick.reason) for pick in picks_of(picker, frames)]


@pytest.mark.parametrize(
    ("size", "rate"), [((320, 180), Fraction(25)), ((200, 320), Fraction(30000, 1001)), ((128, 96), Fraction(25))]
)
def test_the_scenes_are_those_that_the_library_finds_itself(tmp_path, rate, size):
    lengths = [40, 17, 30, 9, 9, 25, 4, 60]
    pictures = [picture for seed, count in enumerate(lengths) for picture in shot(seed, count, *size)]
    path = write(tmp_path / "cuts.mp4", pictures, rate)
    # The library's own pass: decoding, reduction and times are its own.
    scenes = SceneManager()
    scenes.add_detector(AdaptiveDetector(min_scene_len="0.6s"))
    scenes.detect_scenes(open_video(str(path), backend="pyav"))
    expected = [float(start.seconds) for start, _ in scenes.get_scene_list(start_in_scene=True)]
    with VideoReader(path, key="cuts.mp4") as reader:
        picks = picks_of(ContentPicker(), reader)
    assert [float(pick.frame.time_s) for pick in picks] == pytest.approx(expected, abs=1e-9)
    assert [pick.reason for pick in picks] == ["first"] + ["cut"] * (len(expected) - 1)
    assert len(expected) >= 5


class Recorder(SceneDetector):
    """Finds nothing and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[np.ndarray] = []

    def process_frame(self, timecode, frame_img):
        self.pictures.append(frame_img.copy())
        return []


@pytest.mark.parametrize("size", [(640, 362), (270, 480), (128, 96)])
def test_the_detector_is_shown_what_the_library_would_show_it(tmp_path, size):
    path = write(tmp_path / "short.mp4", shot(0, 4, *size), Fraction(25))
    recorder = Recorder()
    scenes = SceneManager()
    scenes.add_detector(recorder)
    scenes.detect_scenes(open_video(str(path), backend="pyav"))
    picker = ContentPicker()
    with VideoReader(path, key="short.mp4") as reader:
        picks_of(picker, reader)
    shown = [picture for _, picture in picker._seen]
    assert len(shown) == len(recorder.pictures) == 4
    for ours, theirs in zip(shown, recorder.pictures, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_real_clip_is_one_scene_to_the_library_and_here(shared):
    path = shared / "data" / "video" / "vtest.avi"
    expected = len(detect(str(path), AdaptiveDetector(min_scene_len="0.6s"), start_in_scene=True))
    with VideoReader(path, key="vtest.avi") as reader:
        assert len(picks_of(ContentPicker(), reader)) == expected


def test_the_first_frame_of_a_scene_is_kept_although_it_is_known_later():
    pictures = shot(0, 30) + shot(1, 30)
    assert answers(ContentPicker(), [frame(p, n, 25) for n, p in enumerate(pictures)]) == [(0, "first"), (30, "cut")]


def test_no_scene_is_shorter_than_the_minimum_gap_to_the_frame():
    pictures = [picture for seed in range(8) for picture in shot(seed, 10)]
    frames = [frame(p, n, Fraction(30000, 1001)) for n, p in enumerate(pictures)]
    ten = Fraction(10 * 1001, 30000)
    assert [pts for pts, _ in answers(ContentPicker(min_gap_s=0.6), frames)] == [0, 20, 40, 60]
    longer = ContentPicker(min_gap_s=float(3 * ten))
    assert [pts for pts, _ in answers(longer, frames)] == [0, 30, 60]
    assert [
        pts for pts, _ in answers(ContentPicker(min_gap_s=1.0), [frame(p, n, 10) for n, p in enumerate(pictures)])
    ] == [
        0,
        10,
        20,
        30,
        40,
        50,
        60,
        70,
    ]


def test_thresholds_are_the_detectors():
    frames = [frame(p, n, 25) for n, p in enumerate(shot(0, 30) + shot(1, 30))]
    assert len(answers(ContentPicker(adaptive_threshold=200.0), frames)) == 1
    assert len(answers(ContentPicker(min_content=250.0), frames)) == 1


def test_another_size_begins_another_scene():
    pictures = shot(0, 20) + shot(0, 20, 640, 360)
    frames = [frame(p, n, 25) for n, p in enumerate(pictures)]
    assert answers(ContentPicker(), frames) == [(0, "first"), (20, "cut")]


def test_no_more_frames_are_held_than_the_answer_is_late():
    picker = ContentPicker()
    for one in (frame(p, n, 25) for n, p in enumerate(shot(0, 30))):
        picks_of(picker, [one])
        assert len(picker._held) <= 3


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 25), min_size=2, max_size=5),
    rate=st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(10)]),
    min_gap_s=st.sampled_from([0.0, 1.0]),
    min_content=st.sampled_from([2.0, 15.0]),
)
def test_a_new_detector_goes_on_as_the_old_one_would_have(seed, lengths, rate, min_gap_s, min_content):
    """From every frame of any footage at which there is a state, whatever comes afterwards."""
    pictures = [picture for n, count in enumerate(lengths) for picture in shot(seed + n, count, 64, 48)]
    goes_on_from_every_state([frame(p, n, rate) for n, p in enumerate(pictures)], min_content, min_gap_s)


def test_a_new_detector_knows_the_last_cut_and_finds_none_while_it_is_shown_the_past():
    """A burst of changes, of which none is a cut; then scenes, some of which are too short."""
    lengths = [20, 1, 1, 1, 10, 4, 18, 9, 16, 5, 20]
    pictures = [picture for n, count in enumerate(lengths) for picture in shot(n, count, 64, 48)]
    found = goes_on_from_every_state([frame(p, n, 25) for n, p in enumerate(pictures)], 15.0, 0.0)
    assert found == [0, 33, 55, 80]


def goes_on_from_every_state(frames: list[DecodedFrame], min_content: float, min_gap_s: float) -> list[int]:
    """Whether a picker that begins from any state of another one gives the same; returns what that is."""

    def new() -> ContentPicker:
        return ContentPicker(3.0, min_content, min_gap_s)

    whole = answers(new(), frames)
    before = new()
    early: list[tuple[int, str]] = []
    for number, one in enumerate(frames):
        early += answers(before, [one])
        state = before.state()
        if state is not None:
            after = new()
            after.restore(stored(state))
            assert early + answers(after, frames[number + 1 :]) == whole, number
    return [pts for pts, _ in whole]


def pan(frames: int) -> list[np.ndarray]:
    """The camera turns fast and steadily: every frame changes as much as a cut must."""
    view = np.zeros((48, 64, 3), np.uint8)
    view[:, :32] = (200, 40, 90)
    return [np.roll(view, 9 * n, axis=1) for n in range(frames)]


def test_a_fast_pan_holds_nothing_but_for_its_beginning():
    picker = ContentPicker()
    without = []
    for number, picture in enumerate(pan(60)):
        picks_of(picker, [frame(picture, number, 25)])
        assert number < 2 or min(picker._changes()) > 15
        if picker.state() is None:
            without.append(number)
    assert without == [0, 1, 2, 3, 4]


def test_the_longest_gap_holds_in_a_fast_pan_too():
    pictures = pan(125)
    picks = answers(MaxGap(ContentPicker(), 1.0), [frame(p, n, 25) for n, p in enumerate(pictures)])
    assert picks == [(0, "first"), *((25 * n, "max-gap") for n in range(1, 5))]


def test_the_longest_and_the_shortest_gap_together_invent_no_cut():
    frames = [frame(p, n, 25) for n, p in enumerate(shot(0, 100))]
    assert answers(ContentPicker(), frames) == [(0, "first")]
    picks = answers(MaxGap(ContentPicker(), 1.0, 0.8), frames)
    assert picks == [(0, "first"), (25, "max-gap"), (50, "max-gap"), (75, "max-gap")]


def test_there_is_a_state_nearly_always_but_not_while_a_cut_is_in_the_air():
    picker = ContentPicker()
    without = []
    for number, picture in enumerate(shot(0, 30) + shot(1, 30)):
        picks_of(picker, [frame(picture, number, 25)])
        if picker.state() is None:
            without.append(number)
    assert without == [0, 1, 2, 3, 4, 30, 31]
