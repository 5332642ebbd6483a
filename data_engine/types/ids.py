"""Ids that are made of content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache

ID_LENGTH = 32
"""Hexadecimal digits of a content id (128 bits of SHA-256)."""


def content_id(*parts: str | int | bytes) -> str:
    """The id of something that is defined by its parts.

    Parts are length-prefixed before hashing, so ``("ab", "c")`` and ``("a", "bc")`` differ.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:ID_LENGTH]


def content_ids(*shared: str | int | bytes) -> Callable[..., str]:
    """:func:`content_id` of many things whose first parts are the same."""
    begun = hashlib.sha256(b"".join(map(_framed, shared)))
    copy = begun.copy

    def of(*parts: str | int | bytes) -> str:
        digest = copy()
        digest.update(b"".join([_framed(part) for part in parts]))
        return digest.hexdigest()[:ID_LENGTH]

    return of


def _framed(part: str | int | bytes) -> bytes:
    if type(part) is int:
        return _framed_number(part)
    data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
    size = len(data)
    return (_LENGTHS[size] if size < _SHORT else size.to_bytes(8, "big")) + data


_SHORT = 256
_LENGTHS = tuple(size.to_bytes(8, "big") for size in range(_SHORT))
"""Made once, for most parts are short."""


@lru_cache(maxsize=4096)
def _framed_number(part: int) -> bytes:
    data = str(part).encode()
    return len(data).to_bytes(8, "big") + data
