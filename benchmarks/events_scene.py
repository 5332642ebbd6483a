"""Half an hour of a static camera, made of a real clip: what ``events.py`` measures on.

The background is the clip's median picture, the walkers are cut out of it by their difference from that background
inside their ground-truth boxes.  On top comes what makes real CCTV hard (sensor noise, clouds and slow light, one
switch to infrared, flashes, a burnt-in clock), and the result is really encoded, as a camera does it.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

VERSION = 1
"""Raised whenever a seed makes another scene."""
FPS = 10
SIZE_WH = (768, 576)
APPEARANCES = 40
SHORTEST, LONGEST = 1 * FPS, 4 * FPS
CLOCK = (6, 6, 300, 30)
"""Left, top, width and height of the burnt-in clock."""
_FLASHES = 8
_MARGIN = 6
_APART = 12  # pixels that lie between a cut-out's box and every other one


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """A walker on one frame of the clip."""

    left_top: tuple[int, int]
    """Even numbers, so that colour planes fit."""
    alpha: FloatArray
    """``(height, width)``, 0..1."""
    day: tuple[FloatArray, FloatArray, FloatArray]
    """Luma and the two colour planes, those at half the size."""
    infrared: FloatArray
    """Luma under infrared light."""
    inside: float
    """Share of the ground-truth box that lies in the picture."""

    @property
    def mass(self) -> float:
        """Pixels that the walker covers."""
        return float(self.alpha.sum())


@dataclass(frozen=True, slots=True)
class Appearance:
    """A walker who comes into the scene for a while."""

    first: int
    """Frame number from 0."""
    track: int
    cuts: tuple[CutOut, ...]
    """One a frame."""
    visible: tuple[bool, ...]
    """Whether the person is to be seen: half of the box is inside the picture, and the cut-out covers at least half
    of its usual (median) number of pixels."""

    @property
    def visible_frames(self) -> frozenset[int]:
        """Numbers of the frames on which the person is to be seen."""
        return frozenset(self.first + n for n, seen in enumerate(self.visible) if seen)


class Clip:
    """vtest.avi with its ground truth, taken apart into an empty scene and walkers."""

    def __init__(self, folder: Path) -> None:
        self.boxes: dict[int, dict[int, tuple[float, float, float, float]]] = defaultdict(dict)
        with (folder / "vtest_tracks.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                box = tuple(float(row[name]) for name in "xywh")
                self.boxes[int(row["frame"]) - 1][int(row["track"])] = box  # type: ignore[assignment]
        with av.open(str(folder / "vtest.avi")) as container:
            frames = np.stack([frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)])
        # In strips: a median of the whole clip at once takes gigabytes.
        strips = [np.median(frames[::3, top : top + 48], axis=0) for top in range(0, frames.shape[1], 48)]
        self.background: UInt8Array = np.concatenate(strips).astype(np.uint8)
        # A track counts as one appearance of the untouched clip, wherever half of its box is inside the picture.
        tracks: dict[int, set[int]] = defaultdict(set)
        for number, boxes in self.boxes.items():
            for track, box in boxes.items():
                if _inside(box) >= 0.5:
                    tracks[track].add(number)
        self.tracks = {track: frozenset(numbers) for track, numbers in sorted(tracks.items())}
        """Numbers of the frames, from 0, on which each person of the clip is to be seen."""
        self.runs = self._runs(frames)
        """Stretches of consecutive clean cut-outs of one track, as (track, cut-outs)."""

    def _runs(self, frames: UInt8Array) -> list[tuple[int, list[CutOut]]]:
        runs: list[tuple[int, list[CutOut]]] = []
        open_runs: dict[int, list[CutOut]] = {}
        for number in range(len(frames)):
            cuts = {}
            for track, box in self.boxes[number].items():
                if all(_apart(box, other) for name, other in self.boxes[number].items() if name != track):
                    cut = self._cut(frames[number], box)
                    if cut is not None:
                        cuts[track] = cut
            runs.extend((track, open_runs.pop(track)) for track in [name for name in open_runs if name not in cuts])
            for track, cut in cuts.items():
                open_runs.setdefault(track, []).append(cut)
        runs.extend(open_runs.items())
        return [(track, cuts) for track, cuts in runs if len(cuts) >= SHORTEST]

    def _cut(self, frame: UInt8Array, box: tuple[float, float, float, float]) -> CutOut | None:
        """The walker in a box; None where the difference from the background does not give a person's shape."""
        width, height = SIZE_WH
        x, y, w, h = box
        left, top = (max(0, int(side - _MARGIN)) // 2 * 2 for side in (x, y))
        right = min(width, math.ceil((x + w + _MARGIN) / 2) * 2)
        bottom = min(height, math.ceil((y + h + _MARGIN) / 2) * 2)
        patch, behind = frame[top:bottom, left:right], self.background[top:bottom, left:right]
        differing = cv2.GaussianBlur(cv2.absdiff(patch, behind).max(axis=2), (3, 3), 0)
        mask = cv2.morphologyEx((differing > 24).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
        if len(stats) < 2:
            return None
        mask = (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.float32)
        inside = _inside(box)
        if not 0.2 <= mask.sum() / max(1.0, inside * w * h) <= 0.85:
            return None
        alpha = cv2.GaussianBlur(mask, (5, 5), 1.0)
        infrared = _infrared(patch, left, top)
        return CutOut((left, top), alpha, _planes(patch), infrared, inside)


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens in the half hour; all of it follows from the seed."""

    seed: int
    frames: int
    appearances: tuple[Appearance, ...]
    flashes: tuple[tuple[int, int], ...]
    """First frame and number of frames of each."""
    switch: int
    """The frame at which the camera turns to infrared."""

    @property
    def file_name(self) -> str:
        """A name for the encoded scene: no other scene has it."""
        return f"scene_v{VERSION}_seed{self.seed}_{self.frames}.mp4"

    @property
    def settled(self) -> int:
        """The frame at which the exposure has settled after the switch."""
        return self.switch + 3 * FPS


def plan(clip: Clip, seed: int, minutes: float) -> Scene:
    """Draw a scene: who comes when, when it flashes, when the light goes."""
    rng = np.random.default_rng(seed)
    frames = round(minutes * 60 * FPS)
    appearances = []
    for _ in range(APPEARANCES):
        length = int(rng.integers(SHORTEST, LONGEST + 1))
        starts = [(run, n) for run, (_, cuts) in enumerate(clip.runs) for n in range(len(cuts) - length + 1)]
        run, start = starts[int(rng.integers(len(starts)))]
        track, cuts = clip.runs[run]
        cuts = cuts[start : start + length]
        usual = float(np.median([cut.mass for cut in cuts]))
        visible = tuple(cut.inside >= 0.5 and cut.mass >= usual / 2 for cut in cuts)
        first = int(rng.integers(2 * FPS, frames - length))
        appearances.append(Appearance(first, track, tuple(cuts), visible))
    flashes = tuple((int(rng.integers(FPS, frames - FPS)), int(rng.integers(1, 4))) for _ in range(_FLASHES))
    switch = int(rng.integers(frames * 3 // 10, frames * 7 // 10))
    return Scene(seed, frames, tuple(sorted(appearances, key=lambda a: a.first)), tuple(sorted(flashes)), switch)


def render(clip: Clip, scene: Scene) -> Iterator[UInt8Array]:
    """The frames of a scene as ``(height * 3 / 2, width)`` uint8: the planes of yuv420p one below the other."""
    width, height = SIZE_WH
    rng = np.random.default_rng((scene.seed, 1))
    luma, blue, red = _planes(clip.background)
    infrared = _infrared(clip.background, 0, 0)
    grain = cv2.GaussianBlur(rng.standard_normal((2 * height, 2 * width), np.float32), (3, 3), 0.6)
    grain /= grain.std()
    # Photon noise grows with the root of the light; the amplifier's noise is everywhere.
    noise = {False: np.sqrt(1.0 + 0.03 * luma), True: np.sqrt(6.0 + 0.08 * infrared)}
    clouds = cv2.GaussianBlur(rng.standard_normal((24, 2400), np.float32), (0, 0), 4.0)
    clouds = np.clip(clouds / clouds.std(), 0, 2) / 2
    wind = rng.uniform(0.03, 0.1)  # cells a frame, of 16 to the width of the picture
    phases, periods = rng.uniform(0, 2 * np.pi, 3), rng.uniform((60, 200, 700), (200, 700, 1800)) * FPS
    middle = rng.uniform(0, 1, (len(scene.flashes), 2)), rng.uniform(0.5, 1.5, len(scene.flashes))
    began = rng.integers(0, 86400)
    by_frame: dict[int, list[CutOut]] = defaultdict(list)
    for appearance in scene.appearances:
        for n, cut in enumerate(appearance.cuts):
            by_frame[appearance.first + n].append(cut)
    across = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)[:, None]
    for number in range(scene.frames):
        dark = number >= scene.switch + 2
        y = (infrared if dark else luma).copy()
        colour = [np.full_like(blue, 128.0)] * 2 if dark else [blue.copy(), red.copy()]
        for cut in by_frame[number]:
            _put(y, cut.infrared if dark else cut.day[0], cut.alpha, cut.left_top)
            if not dark:
                half = cv2.resize(cut.alpha, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                for plane, part in zip(colour, cut.day[1:], strict=True):
                    _put(plane, part, half, (cut.left_top[0] // 2, cut.left_top[1] // 2))
        slow = float(np.sin(2 * np.pi * number / periods + phases) @ np.array([0.03, 0.06, 0.10]))
        y *= 1 + slow * (0.3 if dark else 1.0)
        if not dark:
            at = (number * wind) % (clouds.shape[1] - 20)
            window = cv2.warpAffine(clouds, np.array([[1, 0, -at], [0, 1, 0]], np.float32), (16, 12))
            y *= 1 - 0.35 * cv2.resize(window, SIZE_WH, interpolation=cv2.INTER_CUBIC)
        if number >= scene.switch:
            after = number - scene.switch
            y *= 0.35 if not dark else 1 + 1.2 * math.exp(-after / 4) - 0.35 * math.exp(-after / 9)
        for (first, length), centre, strength in zip(scene.flashes, *middle, strict=True):
            if first <= number < first + length:
                spread = np.exp(-3 * ((across[0] - centre[0]) ** 2 + (across[1] - centre[1]) ** 2))
                y = y * (1 + strength * (0.3 + 0.7 * spread)) + 25 * spread
        top, left = rng.integers(0, height), rng.integers(0, width)
        y += noise[dark] * grain[top : top + height, left : left + width]
        picture = np.empty((height * 3 // 2, width), np.uint8)
        np.copyto(picture[:height], np.clip(np.rint(y), 16, 235), casting="unsafe")
        for plane, values in enumerate(colour):
            rows = slice(height + plane * height // 4, height + (plane + 1) * height // 4)
            picture[rows] = np.clip(np.rint(values), 16, 240).astype(np.uint8).reshape(height // 4, width)
        _clock(picture[:height], int(began) + number // FPS)
        yield picture


def write(clip: Clip, scene: Scene, path: Path, bit_rate: int = 600_000) -> None:
    """Encode a scene as a camera would: H.264, a key frame every four seconds, about the given bits a second."""
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = bit_rate
        stream.gop_size = 4 * FPS
        stream.codec_context.thread_count = 1  # the same bytes on every machine
        stream.options = {
            "preset": "veryfast",
            "maxrate": str(2 * bit_rate),
            "bufsize": str(4 * bit_rate),
            "x264-params": "scenecut=0:bframes=0",
        }
        for number, picture in enumerate(render(clip, scene)):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    part.replace(path)


def _planes(bgr: UInt8Array) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Luma and the halved colour planes of a picture with even sides."""
    height, width = bgr.shape[:2]
    full = cv2.transform(
        bgr.astype(np.float32),
        np.array(
            [[0.0979, 0.5041, 0.2568, 16], [0.4392, -0.2910, -0.1482, 128], [-0.0714, -0.3678, 0.4392, 128]],
            np.float32,
        ),
    )
    half = cv2.resize(full[..., 1:], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(full[..., 0]), half[..., 0].copy(), half[..., 1].copy()


def _infrared(bgr: UInt8Array, left: int, top: int) -> FloatArray:
    """How a part of the picture looks under the camera's own infrared lamps.

    Leaves and cloth reflect it more than brick and tar; it comes from the camera, so it falls off to the sides.
    """
    height, width = bgr.shape[:2]
    seen = cv2.transform(bgr.astype(np.float32), np.array([[-0.7, 1.35, 0.2]], np.float32))
    across = (np.arange(left, left + width, dtype=np.float32) / SIZE_WH[0] - 0.5) / 0.55
    down = (np.arange(top, top + height, dtype=np.float32) / SIZE_WH[1] - 0.6) / 0.75
    lamp = np.exp(-(across[None] ** 2 + down[:, None] ** 2))
    return np.asarray(24 + 0.75 * np.clip(seen.reshape(height, width), 10, 260) * lamp, np.float32)


def _put(plane: FloatArray, part: FloatArray, alpha: FloatArray, left_top: tuple[int, int]) -> None:
    left, top = left_top
    height, width = part.shape
    target = plane[top : top + height, left : left + width]
    target += alpha * (part - target)


def _clock(luma: UInt8Array, seconds: int) -> None:
    text = f"2026-05-17 {seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    for thickness, grey in ((4, 16), (2, 235)):
        cv2.putText(luma, text, (10, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.7, grey, thickness, cv2.LINE_AA)


def _inside(box: Sequence[float]) -> float:
    """Share of a box that lies in the picture."""
    across, down = (
        min(start + side, most) - max(start, 0) for start, side, most in zip(box, box[2:], SIZE_WH, strict=False)
    )
    return max(across, 0) * max(down, 0) / (box[2] * box[3])


def _apart(a: Sequence[float], b: Sequence[float]) -> bool:
    across = max(a[0] - b[0] - b[2], b[0] - a[0] - a[2])
    down = max(a[1] - b[1] - b[3], b[1] - a[1] - a[3])
    return max(across, down) > _APART
