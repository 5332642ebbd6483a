"""Picture files: reading them as RGB, their size and their bytes' hash, writing JPEG, small copies of them.

EXIF orientation is honoured everywhere: pixels, sizes and hashes are those of the picture as people see it, the one
that boxes are drawn on.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.picture_names import IMAGE_SUFFIXES

UInt8Array = NDArray[np.uint8]

# Ultralytics puts a function of its own in the place of this one, which asks for a package where a file is no picture.
open_picture = Image.open

_TURNED = frozenset(range(2, 9))  # EXIF orientations that turn or mirror
_SIDEWAYS = frozenset([5, 6, 7, 8])  # those that exchange width and height


def read_rgb(path: Path, *, name: str | None = None) -> UInt8Array:
    """A picture file as ``(height, width, 3)`` uint8 RGB; 16-bit gray is scaled down, transparency dropped.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it cannot be decoded to its last row; ``name`` (else the file's name) says which.
    """
    with _opened(path, name or path.name) as image:
        return _upright_rgb(image)


def read_reduced_rgb(path: Path, least: int, *, name: str | None = None) -> UInt8Array:
    """As :func:`read_rgb`, but a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves both sides at least
    ``least`` pixels; several times faster.
    """
    with _opened(path, name or path.name) as image:
        image.draft("RGB", (least, least))
        return _upright_rgb(image)


def read_fitting_rgb(path: Path, side: int, *, name: str | None = None) -> UInt8Array:
    """As :func:`read_reduced_rgb`, scaled down by areas to fit into a square of ``side`` pixels; never enlarged."""
    rgb = read_reduced_rgb(path, side, name=name)
    height, width = rgb.shape[:2]
    if (longer := max(width, height)) > side:
        size = (max(1, round(width * side / longer)), max(1, round(height * side / longer)))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return rgb


def thumbnail(path: Path, side: int, most_bytes: int, *, name: str | None = None) -> bytes:
    """A picture file as a JPEG that fits into a square of ``side`` pixels; never enlarged.

    JPEG files are decoded at a fraction of their size.  Quality is 70, lower (down to 25) for a picture that would take
    more than ``most_bytes``; the same file gives the same bytes.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it cannot be decoded; ``name`` (else the file's name) says which.
    """
    rgb = read_fitting_rgb(path, side, name=name)
    data = b""
    for quality in (70, 55, 40, 25):
        data = encode_jpeg(rgb, quality)
        if len(data) <= most_bytes:
            break
    return data


def _upright_rgb(image: Image.Image) -> UInt8Array:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        deep = np.asarray(upright)
        return np.repeat(np.clip(deep >> 8, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.array(upright.convert("RGB"))


def size_of(path: Path, *, name: str | None = None) -> tuple[int, int]:
    """``(width, height)`` of a picture file in pixels, from its header.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it is not a picture; ``name`` (else the file's name) says which.
    """
    with _opened(path, name or path.name) as image:
        return _size(image)


def size_of_bytes(data: bytes, *, name: str) -> tuple[int, int]:
    """As :func:`size_of`, of a picture file's bytes; of its first bytes where they hold all of its header.

    Raises:
        DamagedInputError: they are not a picture, or end too early; ``name`` says which.
    """
    with _opened(io.BytesIO(data), name) as image:
        return _size(image)


def is_upright(path: Path) -> bool:
    """Whether a file's pixels lie as people see them: no EXIF orientation turns or mirrors them.

    Also of a file that is no picture: it is refused where its pixels are wanted.
    """
    try:
        with _opened(path, path.name) as image:
            return image.getexif().get(ExifTags.Base.Orientation) not in _TURNED
    except DamagedInputError:
        return True


def upright_copy(path: Path) -> bytes:
    """A picture as a file of the same format whose pixels lie as people see them, without EXIF.

    JPEG of quality 95, the other formats without loss; the same file gives the same bytes.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it cannot be decoded.
    """
    rgb, suffix = read_rgb(path), path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        return encode_jpeg(rgb, 95)
    _, data = cv2.imencode(suffix if suffix in IMAGE_SUFFIXES else ".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return bytes(data.tobytes())


def encode_jpeg(rgb: UInt8Array, quality: int) -> bytes:
    """``(height, width, 3)`` uint8 RGB as a JPEG file of that quality (1..100); equal pixels give equal bytes."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data.tobytes())


def sha256_of(path: Path, *, name: str | None = None) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits; read in pieces, whatever its size.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it cannot be read; ``name`` (else the path) says which.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise MissingInputError(f"{name or path} is not there") from None
    except OSError as error:
        raise DamagedInputError(f"{name or path} cannot be read: {_reason(error)}") from None


def _size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    return (height, width) if image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS else (width, height)


@contextlib.contextmanager
def _opened(file: Path | io.BytesIO, name: str) -> Iterator[Image.Image]:
    try:
        with open_picture(file) as image:
            yield image
    except FileNotFoundError:
        raise MissingInputError(f"{name} is not there") from None
    except (UnidentifiedImageError, ImportError):
        raise DamagedInputError(f"{name} is not a picture that can be decoded: its format is unknown") from None
    # Pillow's decoders answer damage with any of these.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DamagedInputError(f"{name} cannot be read: {_reason(error)}") from None
        reason = "the file is truncated" if "truncated" in str(error).lower() else error
        raise DamagedInputError(f"{name} is not a picture that can be decoded: {reason}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
