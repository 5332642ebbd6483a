"""What was written outside the workspace, or read from there, and holds something of what is purged: it is named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from data_engine.app.engine import Engine
from data_engine.app.lineage.purge_archives import mentions
from data_engine.app.lineage.purge_known import Pictures
from data_engine.errors import MissingInputError
from data_engine.formats.pruning import Marks
from data_engine.media.picture_names import is_image
from data_engine.storage.local import MOUNTS_FILE

_MOST_FILES = 20_000
"""Files of one folder that are looked at: somebody may have given a disk."""
_MOST_TEXT = 64 << 20
_DEEP = 4
"""Folders below one: a training folder has its labels in the third."""


def found_outside(engine: Engine, marks: Marks, pictures: Pictures) -> tuple[list[str], list[str]]:
    """Look through the folders outside the workspace that files of it were read from or written to.

    Returns:
        the files with a picture or video of it, or that name it in their text (of those that are called like one only
        the folder: this is written down); and the folders of which not every file was looked at.
    """
    found: list[str] = []
    too_many: list[str] = []
    for folder in _folders(engine):
        files = _files(folder)
        outside = (path for path in islice(files, _MOST_FILES) if not path.is_relative_to(engine.root))
        found += [_told(path, marks) for path in outside if _is_of_it(path, marks, pictures)]
        if next(files, None) is not None:
            too_many.append(str(folder))
    return sorted(set(found)), too_many


def _told(path: Path, marks: Marks) -> str:
    while marks.mentioned_in(str(path)) or path.stem in marks.stems:
        path = path.parent
    return str(path)


def _folders(engine: Engine) -> list[Path]:
    try:
        mounts = json.loads(engine.storage.read_bytes(MOUNTS_FILE))
    except (MissingInputError, ValueError):
        return []
    return [Path(folder) for folder in sorted(set(mounts.values())) if Path(folder).is_dir()]


def _files(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        folders[:] = [] if len(here.relative_to(top).parts) >= _DEEP else sorted(folders)
        yield from (path for name in sorted(names) if not (path := here / name).is_symlink())


def _is_of_it(path: Path, marks: Marks, pictures: Pictures) -> bool:
    from data_engine.media.probe import is_video

    try:
        if path.stem in marks.stems or pictures.is_one(path) or pictures.is_video(path):
            return True
        text = not (is_image(path.name) or is_video(path.name)) and path.stat().st_size <= _MOST_TEXT
        return text and mentions(path.read_bytes(), marks)
    except OSError:
        return False
