"""Which camera filmed what lies where."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_YEAR = r"(19|20)\d\d"
_DATE = re.compile(rf"{_YEAR}([-_. ]?\d\d?){{0,2}}([T_ -]?\d\d[-_.h]?\d\d([-_.m]?\d\d)?)?")
"""2026, 2026-11, 20261120, 2026-11-20T08-00."""
_PART_OF_DATE = re.compile(r"\d\d?h?")
"""A month, day or hour in a folder of its own, below one with its year or day."""


def camera_of(key: str, folder: str) -> str:
    """The camera of a file: the folders between the one that was given and the file, dates left out.

    ``Hall 1/camera 2/2026-11-20/08.mp4`` is of ``Hall 1/camera 2``, and so is ``2026/11/20/Hall 1/camera 2/08.mp4``.
    A file without a folder of its own is its own camera, by its name without the suffix; where all folders are dates,
    the first of them stands for the camera.

    Args:
        key: storage key of the file.
        folder: storage key of the folder that was given, ``.`` for the root.
    """
    pure = PurePosixPath(key)
    *folders, _name = (pure if folder == "." else pure.relative_to(folder)).parts
    if not folders:
        return pure.stem
    kept: list[str] = []
    in_date = False
    for name in folders:
        in_date = _DATE.fullmatch(name) is not None or (in_date and _PART_OF_DATE.fullmatch(name) is not None)
        if not in_date:
            kept.append(name)
    return "/".join(kept or folders[:1])
