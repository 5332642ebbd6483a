"""Single pictures out of a numbered sequence, by the same questions that are asked of a video file."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.frame import DecodedFrame
from data_engine.media.images import read_rgb
from data_engine.media.moments import MomentReader
from data_engine.media.sequence import SequenceReader, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType


def open_moments(path: Path, *, key: str) -> MomentReader | SequenceMoments:
    """A reader of single frames, of a video file or of a folder of numbered pictures.

    Args:
        path: the file or folder.
        key: what errors call it.

    Raises:
        MissingInputError: it is not there.
        DamagedInputError: it is no video.
    """
    return SequenceMoments(path, key=key) if path.is_dir() else MomentReader(path, key=key)


class SequenceMoments:
    """Reads the pictures at chosen places of a sequence; see :class:`data_engine.media.moments.MomentReader`.

    Times are those at the default rate: whoever knows another one scales them.

    Args:
        folder: where the pictures are.
        key: what errors call the folder.

    Raises:
        MissingInputError: the folder is not there.
        DamagedInputError: its pictures are no numbered sequence.
    """

    def __init__(self, folder: Path, *, key: str) -> None:
        reader = SequenceReader(folder, key=key)
        self._folder, self._key = folder, key
        self._pictures = numbered(path.name for path in folder.iterdir() if path.is_file())
        first = self._pictures[0][0]
        self._places = [number - first for number, _name in self._pictures]
        self._rate = Fraction(reader.frame_rate or 1)
        self.duration_s = Fraction(reader.duration_s or 0)
        """Seconds, at the default rate."""

    def __enter__(self) -> SequenceMoments:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No file stays open between two pictures."""

    def at_fractions(self, fractions: Sequence[float | Fraction]) -> Iterator[DecodedFrame | None]:
        """The first picture at or after each of those fractions (0..1) of the duration; None for a damaged one."""
        for fraction in fractions:
            place = bisect_left(self._places, Fraction(fraction) * self.duration_s * self._rate)
            yield self._read(place) if place < len(self._places) else None

    def _read(self, place: int) -> DecodedFrame | None:
        name = self._pictures[place][1]
        try:
            rgb = read_rgb(self._folder / name, name=f"{self._key}/{name}")
        except (DamagedInputError, MissingInputError):
            return None
        return DecodedFrame(self._places[place], 1 / self._rate, av.VideoFrame.from_ndarray(rgb, format="rgb24"))
