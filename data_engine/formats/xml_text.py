"""Values as XML text, the same bytes for the same value."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from data_engine.errors import DamagedInputError

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document can hold, escaped or not: https://www.w3.org/TR/xml/#charsets"""
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def escaped(text: str) -> str:
    """The text, for between two tags or for a double-quoted attribute; white space comes back as it was.

    Raises:
        DamagedInputError: a character that XML cannot hold.
    """
    if found := _ILLEGAL.search(text):
        raise DamagedInputError(f"{text!r} holds the character {found[0]!r}, which XML cannot hold")
    return text.translate(_ESCAPES)


def number(value: float) -> str:
    """The fewest digits that read back to the same double, without an exponent, as ``float()`` and people read it."""
    text = repr(float(value) + 0.0)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def plain(value: Any) -> str:
    """An attribute's value as CVAT writes it: ``true``, ``0.5``, ``red``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value) if isinstance(value, float) else str(value)
