"""A folder of numbered pictures, read as the video that they are: ``frame_0001.png``, ``frame_0002.png``, …"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import gcd
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import av

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.frame import DecodedFrame
from data_engine.media.images import read_rgb
from data_engine.media.picture_names import is_image
from data_engine.media.position import Position, digest_of
from data_engine.types import content_id
from data_engine.words import counted

if TYPE_CHECKING:
    from types import TracebackType

    from data_engine.types import Region

CODEC = "image sequence"
"""What stands in the place of a codec's name."""


def numbered(names: Iterable[str]) -> list[tuple[int, str]]:
    """The pictures of a numbered sequence, as ``(number, name)`` by number; empty where the names are none.

    The names are equal but for their last digits, of which no two give the same number, and at least half of the
    numbers follow the one before by the same step: there may be gaps, but times of capture and random ids are no
    sequence.

    Args:
        names: file names of one folder; those that are no pictures are passed over.
    """
    found: dict[int, str] = {}
    around = set()
    for name in names:
        path = PurePosixPath(name)
        if not is_image(name) or name.startswith("."):
            continue
        parts = re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", path.stem, re.DOTALL)
        if parts is None or int(parts[2]) in found:
            return []
        around.add((parts[1], parts[3], path.suffix))
        found[int(parts[2])] = name
    pictures = sorted(found.items())
    if len(pictures) < 2 or len(around) > 1:
        return []
    numbers = [number for number, _ in pictures]
    usual = [later - earlier for earlier, later in pairwise(numbers)].count(_step(numbers))
    return pictures if 2 * usual >= len(numbers) - 1 else []


def is_sequence(names: Iterable[str]) -> bool:
    """Whether the pictures among the file names of one folder are a numbered sequence; see :func:`numbered`."""
    return bool(numbered(names))


def sequence_id(pictures: Sequence[tuple[int, str]], rate: Fraction) -> str:
    """The content id of a sequence: of its pictures, how their numbers follow each other, and the rate.

    Args:
        pictures: number and SHA-256 of each file, by number.
        rate: numbers a second.
    """
    first = pictures[0][0] if pictures else 0
    parts = (part for number, sha256 in pictures for part in (number - first, sha256))
    return content_id("image sequence", str(Fraction(rate)), *parts)


class SequenceReader:
    """Iterates once over a folder's numbered pictures as :class:`~data_engine.media.decode.VideoReader` over a video.

    A picture's time is its number's: a gap in the numbers is a gap in time.  Pictures that cannot be decoded, and those
    of another size than the first one that can, are passed over and counted in ``damaged``.  One picture is in memory
    at a time.

    Args:
        folder: where the pictures are; other files in it are passed over.
        key: what errors call the folder.
        rate: numbers a second.
        crop: the part of the picture that counts, in pixels; left out where the pictures are too small for it.
        resume: go on behind this position of an earlier reader of the same folder.

    Raises:
        MissingInputError: the folder is not there.
        DamagedInputError: its pictures are no numbered sequence; at the start of the iteration, when the position is
            none of this folder; at its end, when not one picture could be decoded.
        ValueError: the rate is not above 0.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: str,
        rate: Fraction = Fraction(25),
        crop: Region | None = None,
        resume: Position | None = None,
    ) -> None:
        if rate <= 0:
            raise ValueError(f"the rate must be above 0: got {rate}")
        self.key = key
        self.codec = CODEC
        self.frame_rate: Fraction | None = Fraction(rate)
        """Numbers a second."""
        self.decoded = 0
        """Pictures handed out so far, those before the position that was resumed included."""
        self.damaged = 0
        """Pictures that could not be decoded or have another size."""
        self.passed_over = 0
        """Always 0: no picture is built from another."""
        self._folder = folder
        self._time_base = 1 / Fraction(rate)
        self._crop = crop
        self._resume = resume if resume is not None and resume.decoded else None
        self._last: DecodedFrame | None = None
        try:
            names = [path.name for path in folder.iterdir() if path.is_file()]
        except FileNotFoundError:
            raise MissingInputError(f"{key} is not there") from None
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            raise DamagedInputError(f"{key} cannot be read: {reason}") from None
        self._pictures = numbered(names)
        if not self._pictures:
            raise DamagedInputError(f"{key} is no folder of pictures that are numbered one after another")
        numbers = [number for number, _ in self._pictures]
        self._missing = _missing(numbers)
        self.duration_s: Fraction | None = (numbers[-1] - numbers[0] + _step(numbers)) * self._time_base
        """Seconds from the first number to the end of the last one."""

    def __enter__(self) -> SequenceReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """For symmetry: no file stays open between two pictures."""

    @property
    def damage(self) -> str | None:
        """What is missing or could not be read so far, for people; None when all is sound."""
        found = []
        if self.damaged:
            found.append(f"{counted(self.damaged, 'picture')} damaged or of another size")
        if self._missing:
            found.append(f"{counted(self._missing, 'number')} missing")
        return ", ".join(found) or None

    def position(self) -> Position:
        """Where the reader stands: behind the picture that was handed out last."""
        if self._last is None:
            return self._resume or Position(0, 0, 0)
        return Position(self.decoded, self.damaged, 0, pts=self._last.pts, digest=digest_of(self._last))

    def __iter__(self) -> Iterator[DecodedFrame]:
        size_wh: tuple[int, int] | None = None
        behind = -1 if self._resume is None or self._resume.pts is None else self._resume.pts
        first = self._pictures[0][0]
        if behind >= 0 and behind not in {number - first for number, _ in self._pictures}:
            raise self._changed()
        for number, name in self._pictures:
            if number - first < behind:
                continue
            frame = self._read(number - first, name)
            if frame is not None and size_wh is None:
                size_wh = (frame.picture.width, frame.picture.height)
            if frame is None or (frame.picture.width, frame.picture.height) != size_wh:
                self.damaged += 1
                frame = None
            if number - first == behind and self._resume is not None:
                if frame is None or digest_of(frame) != self._resume.digest:
                    raise self._changed()
                self.decoded, self.damaged, self._last = self._resume.decoded, self._resume.damaged, frame
            elif frame is not None and number - first > behind:
                self.decoded += 1
                self._last = frame
                yield frame
        if not self.decoded:
            raise DamagedInputError(f"{self.key} holds numbered pictures, but not one of them can be decoded")

    def _read(self, pts: int, name: str) -> DecodedFrame | None:
        try:
            rgb = read_rgb(self._folder / name, name=f"{self.key}/{name}")
        except (DamagedInputError, MissingInputError):
            return None
        frame = DecodedFrame(pts, self._time_base, av.VideoFrame.from_ndarray(rgb, format="rgb24"))
        if self._crop is None:
            return frame
        left, top, width, height = self._crop
        fits = left + width <= frame.picture.width and top + height <= frame.picture.height
        return DecodedFrame(pts, self._time_base, frame.picture, self._crop) if fits else frame

    def _changed(self) -> DamagedInputError:
        return DamagedInputError(f"{self.key} is not what it was when its reading was interrupted")


def _step(numbers: Sequence[int]) -> int:
    """From one number to the next: 1, or for instance 5 where only every fifth frame was saved; 2 numbers at least."""
    return gcd(*(later - earlier for earlier, later in pairwise(numbers)))


def _missing(numbers: Sequence[int]) -> int:
    """Numbers that are missing between the first and the last; ``numbers`` ascend."""
    return (numbers[-1] - numbers[0]) // _step(numbers) + 1 - len(numbers)
