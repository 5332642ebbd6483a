"""Which files are pictures, by their names: to be asked without loading what decodes them."""

from __future__ import annotations

from pathlib import PurePosixPath

IMAGE_SUFFIXES = frozenset([".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"])
"""Suffixes of the files that are looked at as pictures, in lower case."""


def is_image(name: str) -> bool:
    """Whether a file's name says that it is a picture."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
