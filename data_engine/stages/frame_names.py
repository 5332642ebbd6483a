"""How sampled frames are called."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

_LONGEST_NAME = 120  # bytes of UTF-8 left to the video's part: file systems take 255 for the whole name


def sequential_name(number: int) -> str:
    """``frame_00001.jpg`` and onwards."""
    return f"frame_{number:05d}.jpg"


def sequential_number(name: str) -> int | None:
    """The number in a name of :func:`sequential_name`, None for any other name."""
    found = re.fullmatch(r"frame_(\d{5,})\.jpg", name)
    return int(found[1]) if found else None


def frame_name(video_name: str, time_s: Fraction, frame_id: str) -> str:
    """``<video>_<time in ms>_<short id>.jpg``, sorted by time; the short id keeps equal video names apart.

    What file systems, shells and lists of files trip over becomes ``_`` in the video's name; letters of any script
    stay.
    """
    letters = unicodedata.normalize("NFC", video_name)
    safe = "".join(c if c in "-." or unicodedata.category(c)[0] in "LMN" else "_" for c in letters)
    safe = re.sub("_+", "_", safe).strip("._-")
    safe = safe.encode()[:_LONGEST_NAME].decode(errors="ignore") or "video"
    return f"{safe}_{round(time_s * 1000):08d}_{frame_id[:8]}.jpg"


def key_in(folder: str, name: str) -> str:
    """The key of a file in a folder (``.`` is the root)."""
    return name if folder == "." else f"{folder}/{name}"
