"""Numbers with their nouns, as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


def counted(number: int, noun: str) -> str:
    """``1 box``, ``2 boxes``, ``0 frames``; the noun is given in its singular."""
    if noun.endswith(("x", "s", "ch", "sh")):
        plural = f"{noun}es"
    elif noun.endswith("y") and noun[-2:-1] not in "aeiou":
        plural = f"{noun[:-1]}ies"
    else:
        plural = f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def shapes(kinds: Mapping[str, int]) -> str:
    """``1 polygon, 2 boxes of a label that is gone``: shapes counted by what the annotation server calls them."""
    return ", ".join(_of_kind(number, kind) for kind, number in sorted(kinds.items()) if number)


def _of_kind(number: int, kind: str) -> str:
    if kind == "points":  # the server's one word that is a plural already
        kind = "shape of points"
    noun, *rest = re.split(r"(?= (?:of|on|with|without) )", kind, maxsplit=1)
    return counted(number, noun) + "".join(rest)


def elapsed(seconds: float) -> str:
    """``40 s``, ``12 min``, ``5 h``, ``3 d``: whole units, rounded down; what lies in the future is ``0 s``."""
    left = max(int(seconds), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if left >= size:
            return f"{left // size} {unit}"
    return f"{left} s"


def listed(names: Sequence[str], most: int = 6) -> str:
    """``a, b, c``; of more than ``most`` the first, and how many there are besides."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def installing(*extras: str) -> str:
    """What to type for an optional part, or for one of several; the package index knows another ``dataengine``."""
    parts = " or ".join(f"'.[{extra}]'" for extra in extras)
    return f"pip install {parts} in your checkout of dataengine"
