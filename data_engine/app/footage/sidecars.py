"""What lies beside a video and tells about it: ``<file>.json``, or ``<name without suffix>.json``."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import PurePosixPath

import msgspec

from data_engine.app.footage.cameras import Said
from data_engine.errors import DamagedInputError
from data_engine.formats.strict_json import decode


class _Sidecar(msgspec.Struct):
    """Other names than these are other programs' affair."""

    venue: str | None = None
    event: str | None = None
    camera: str | None = None
    captured_at: str | None = None


def sidecar_keys(key: str, *, folder: bool = False) -> tuple[str, ...]:
    """Where the sidecar of a video may lie, the first one first.

    Args:
        key: of the video.
        folder: whether that is a folder, which has no suffix.
    """
    return (f"{key}.json",) if folder else (f"{key}.json", PurePosixPath(key).with_suffix(".json").as_posix())


def read_sidecar(data: bytes, *, key: str) -> Said:
    """What a sidecar says; what it leaves empty it does not say.

    Args:
        data: the whole file.
        key: its storage key, for errors.

    Raises:
        DamagedInputError: it is not a JSON object, a value is no text, or the time is not ISO 8601.
    """
    rules = dict.fromkeys(_Sidecar.__struct_fields__, "must be text")
    found = decode(data, _Sidecar, name=key, what="a description of a video", rules=rules)
    given = {name: (getattr(found, name) or "").strip() or None for name in _Sidecar.__struct_fields__}
    captured_at = given["captured_at"]
    if captured_at is not None:
        given["captured_at"] = _checked_time(captured_at, key)
    return Said(**given)


def _checked_time(text: str, key: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        raise DamagedInputError(
            f"{key}: captured_at is not a time: {text!r}", hint="write it as 2026-11-20T08:00:00+01:00"
        ) from None
