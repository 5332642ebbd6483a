"""Which camera filmed what lies where, and what else its path says: the place, the occasion, the time."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from datetime import date, time
from pathlib import PurePosixPath

from data_engine.errors import UsageError

_YEAR = r"(19|20)\d\d"
_DATE = re.compile(rf"{_YEAR}([-_. ]?\d\d?){{0,2}}([T_ -]?\d\d[-_.h]?\d\d([-_.m]?\d\d)?)?")
"""2026, 2026-11, 20261120, 2026-11-20T08-00."""
_PART_OF_DATE = re.compile(r"\d\d?h?")
"""A month, day or hour in a folder of its own, below one with its year or day."""

FIELDS = ("venue", "event", "camera", "date", "time")
"""What a path pattern can take over from a path."""
_FORMS = {
    "date": r"(?:19|20)\d\d[-_.]?\d\d[-_.]?\d\d",
    "time": r"\d\d(?:[-_.:h]?\d\d(?:[-_.:m]?\d\d)?)?[hms]?",
}
_HINT = "name fields in braces: --pattern '{venue}/{event}/{camera}/{name}'"


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


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said about a video, by its path or beside it; None where nothing was said."""

    venue: str | None = None
    event: str | None = None
    camera: str | None = None
    captured_at: str | None = None
    """ISO 8601; a date alone where no time was said."""

    def over(self, other: Said) -> Said:
        """This, and what only the other says."""
        return Said(
            self.venue or other.venue,
            self.event or other.event,
            self.camera or other.camera,
            moment(self.captured_at, other.captured_at),
        )


def moment(said: str | None, otherwise: str | None) -> str | None:
    """The time that was said; where that is a date alone, the time of that same day that is known otherwise."""
    if said is None or (otherwise is not None and "T" not in said and otherwise.startswith(said)):
        return otherwise
    return said


class PathPattern:
    """What a path below the given folder says, by fields in braces: ``{venue}/{date}/{camera}_{time}.mp4``.

    A field stands for at least one character and never for a ``/``.  Fields with other names than :data:`FIELDS` may
    hold anything; a suffix may be left out.  Dates are written 2026-11-20 or 20261120, times 08-30-00, 083000 or 0830
    (on a clock of 24 hours, in the camera's own zone); both with ``-``, ``_`` or ``.`` between their parts.

    Raises:
        UsageError: braces that do not match, no field that is taken over, two fields with nothing between them that
            could tell them apart, a time without a date.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._fields: list[str] = []
        self._regex = re.compile(self._translated(), re.DOTALL)
        if not self._fields:
            raise self._wrong(f"it names none of {', '.join(FIELDS)}")
        if "time" in self._fields and "date" not in self._fields:
            raise self._wrong("a time without a date says nothing")

    def _translated(self) -> str:
        try:
            parts = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise self._wrong(str(error)) from None
        if self.text.startswith("/") or ".." in PurePosixPath(self.text).parts:
            raise self._wrong("it is not relative to the given folder")
        regex, before = "", ""
        for literal, name, form, conversion in parts:
            regex += re.escape(literal)
            if name is None:
                continue
            if form or conversion or not name.isidentifier():
                raise self._wrong(f"{{{name}}} is not a plain name")
            if before and not literal and not {before, name} & set(_FORMS):
                raise self._wrong(f"nothing parts {{{before}}} from {{{name}}}")
            if name in self._fields:
                regex += f"(?P={name})"
            elif name in FIELDS:
                self._fields.append(name)
                regex += f"(?P<{name}>{_FORMS.get(name, '[^/]+')})"
            else:
                regex += "[^/]+"
            before = name
        return regex

    def _wrong(self, why: str) -> UsageError:
        return UsageError(f"--pattern {self.text}: {why}", hint=_HINT)

    def match(self, path: str, *, folder: bool = False) -> Said | None:
        """What a path says; None where the pattern does not fit it.

        Args:
            path: relative to the given folder.
            folder: whether it is that of a folder, which has no suffix.
        """
        forms = (path,) if folder else (PurePosixPath(path).with_suffix("").as_posix(), path)
        for form in dict.fromkeys(forms):
            found = self._regex.fullmatch(form)
            if found is not None:
                return self._said(found.groupdict())
        return None

    def _said(self, values: dict[str, str]) -> Said | None:
        captured_at = None
        if "date" in values:
            try:
                captured_at = _captured_at(values["date"], values.get("time"))
            except ValueError:
                # Digits that are no day or no time: then the fields are something else.
                return None
        return Said(values.get("venue"), values.get("event"), values.get("camera"), captured_at)


def _captured_at(day: str, clock: str | None) -> str:
    digits = re.sub(r"\D", "", day)
    iso = date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).isoformat()
    if clock is None:
        return iso
    hour, minute, second = (*map(int, re.findall(r"\d\d", clock)), 0, 0)[:3]
    return f"{iso}T{time(hour, minute, second).isoformat(timespec='seconds')}"
