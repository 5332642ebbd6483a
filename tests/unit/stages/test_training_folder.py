"""A training folder that somebody changed since it was converted."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from data_engine.stages.training_folder import OWN_LIST, TrainingFolder
from data_engine.storage.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LABEL, PICTURE = "labels/a.txt", "images/a.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A split as ``convert`` leaves it."""
    storage = LocalStorage(tmp_path)
    storage.write_bytes("source.jpg", b"not really a picture")
    made = TrainingFolder(storage, "yolo/train")
    made.begin([LABEL, PICTURE])
    made.write(LABEL, b"0 0.5 0.5 0.2 0.2\n")
    storage.write_bytes(f"yolo/train/{PICTURE}", b"a picture")
    made.finish([LABEL, PICTURE])
    return tmp_path / "yolo/train"


def differing(folder: Path, asked: list[str] | None = None, *, same: bool = False) -> str | None:
    def recorded(path: str) -> bool:
        (asked if asked is not None else []).append(path)
        return same

    return TrainingFolder(LocalStorage(folder.parents[1]), "yolo/train").differing(recorded)


def test_as_it_was_left_nothing_differs_and_a_library_s_caches_are_no_change(folder: Path) -> None:
    assert differing(folder) is None
    (folder / "labels.cache").write_bytes(b"of ultralytics")
    (folder / "images/a.npy").write_bytes(b"of ultralytics")
    assert differing(folder) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder: (folder / LABEL).write_text("1 0.5 0.5 0.2 0.2\n"), LABEL),
        (lambda folder: (folder / LABEL).unlink(), LABEL),
        (lambda folder: (folder / PICTURE).unlink(), PICTURE),
        (lambda folder: (folder / PICTURE).write_bytes(b"another picture"), PICTURE),
        (lambda folder: (folder / "images/b.jpg").write_bytes(b"one more"), "images/b.jpg"),
    ],
)
def test_the_file_that_was_changed_lost_or_added_is_named(
    change: Callable[[Path], object], named: str, folder: Path
) -> None:
    change(folder)
    assert differing(folder) == named


def test_a_picture_of_the_same_size_is_looked_into_only_where_its_time_is_another(folder: Path) -> None:
    asked: list[str] = []
    assert differing(folder, asked) is None
    assert asked == []
    (folder / PICTURE).write_bytes(b"a qicture")
    os.utime(folder / PICTURE, ns=(1, 1))
    assert differing(folder, asked) == PICTURE
    assert differing(folder, same=True) is None
    # Of another size nobody need be asked, and what an earlier release wrote down tells no more than the size.
    (folder / PICTURE).write_bytes(b"a larger picture")
    assert differing(folder, same=True) == PICTURE
    assert asked == [PICTURE]
    listed = (folder / OWN_LIST).read_text()
    (folder / OWN_LIST).write_text(re.sub(r'"9-[^"]*"', '"16"', listed))
    assert differing(folder) is None


def test_of_a_folder_without_marks_nothing_is_known(folder: Path) -> None:
    (folder / OWN_LIST).write_text(f'{{"files":["{LABEL}","{PICTURE}"]}}')
    (folder / LABEL).write_text("")
    assert differing(folder) is None


def test_a_conversion_that_was_cut_off_differs_from_what_it_was_to_be(folder: Path) -> None:
    again = TrainingFolder(LocalStorage(folder.parents[1]), "yolo/train")
    again.begin([LABEL, PICTURE])
    again.write(LABEL, b"1 0.4 0.4 0.2 0.2\n")
    assert differing(folder) == LABEL
