"""Decoded frames made of arrays, and what a picker keeps of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction

import av
import numpy as np

from data_engine.media.frame import DecodedFrame
from data_engine.media.picking import Look, Pick, Picker


def texture(seed: int, height: int = 144, width: int = 192) -> np.ndarray:
    """Gray noise in which everything differs from that of another seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def frame(picture: np.ndarray, number: int, rate: Fraction | int = 10) -> DecodedFrame:
    """Frame ``number`` of a video; gray or RGB by the picture's dimensions."""
    kind = "gray" if picture.ndim == 2 else "rgb24"
    return DecodedFrame(number, 1 / Fraction(rate), av.VideoFrame.from_ndarray(picture, format=kind))


def look(picture: np.ndarray, number: int, rate: Fraction | int = 10) -> Look:
    return Look(frame(picture, number, rate))


def picks_of(picker: Picker, frames: Iterable[DecodedFrame]) -> list[Pick]:
    """What a picker keeps of the frames, to their end."""
    picks: list[Pick] = []
    for one in frames:
        if picker.wants(one.time_s):
            picks += picker.pick(Look(one))
    return [*picks, *picker.finish()]


def kept(picker: Picker, pictures: Sequence[np.ndarray], rate: Fraction | int = 10) -> list[int]:
    """Numbers of the kept pictures."""
    return [pick.frame.pts for pick in picks_of(picker, (frame(p, n, rate) for n, p in enumerate(pictures)))]


def stored(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state after it was written to a file, without pickling, and read back."""
    file = io.BytesIO()
    np.savez(file, **state)
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=False) as read:
        return dict(read)
