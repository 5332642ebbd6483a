"""JSON from outside, decoded into a type, with one exact sentence for everything that can be wrong with it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from data_engine.errors import DamagedInputError

T = TypeVar("T")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_AT_BYTE = re.compile(r"^(?:JSON is malformed: )?(?P<reason>.*?) \(byte (?P<byte>\d+)\)$")
_AT_PATH = re.compile(r"^(?P<reason>.*?)(?: - at `\$\.?(?P<path>.*)`)?$")
_NOT_A_NUMBER = re.compile(rb"-?(NaN|Infinity)")


def decode(data: bytes, kind: type[T], *, name: str, what: str = "JSON", rules: Mapping[str, str] | None = None) -> T:
    """Decode UTF-8 JSON (a byte order mark is allowed) into ``kind``.

    Args:
        data: the whole file.
        kind: a type that msgspec understands.
        name: what to call the file in a message.
        what: what the file should be: ``a COCO file``.
        rules: for a field's name the sentence to say when its value has the wrong shape: ``must be 4 numbers``.

    Raises:
        DamagedInputError: empty, truncated, not JSON, NaN or Infinity (Python's ``json`` writes them, JSON does not
            know them), a missing field, a value of the wrong type.
    """
    data = data.removeprefix(BYTE_ORDER_MARK)
    if not data.strip():
        raise DamagedInputError(f"{name} is empty, not {what}")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise DamagedInputError(_invalid(str(error), name, what, rules or {})) from None
    except msgspec.DecodeError as error:
        raise DamagedInputError(_malformed(str(error), data, name, what)) from None
    except UnicodeDecodeError:
        raise DamagedInputError(f"{name} holds text that is not UTF-8") from None
    except RecursionError:
        raise DamagedInputError(f"{name} is nested too deeply to be {what}") from None


def _invalid(message: str, name: str, what: str, rules: Mapping[str, str]) -> str:
    match = _AT_PATH.match(message)
    reason, path = (match["reason"], match["path"] or "") if match else (message, "")
    if missing := re.match(r"Object missing required field `(.*)`", reason):
        owner = f"{name}: {path}" if path else f"{name} is not {what}: it"
        return f"{owner} has no '{missing[1]}'"
    reason = reason.replace("`", "")
    if not path:
        return f"{name} is not {what}: {reason[:1].lower()}{reason[1:]} at its top"
    if reason == "Number out of range":
        return f"{name}: {path} is too large for a number"
    field = re.sub(r"\[[^]]*\]", "", path).rsplit(".", 1)[-1]
    return f"{name}: {path} {rules[field]}" if field in rules else f"{name}: {path}: {reason[:1].lower()}{reason[1:]}"


def _malformed(message: str, data: bytes, name: str, what: str) -> str:
    if message == "Input data was truncated":
        return f"{name} ends in the middle: it is a truncated piece of JSON, not {what}"
    match = _AT_BYTE.match(message)
    if not match:
        return f"{name} is not JSON: {message}"
    position = int(match["byte"])
    for start in (position - 1, position):
        if start >= 0 and (literal := _NOT_A_NUMBER.match(data, start)):
            place = _place_of_non_number(data) or f"the value at byte {start}"
            return f"{name}: {place} is {literal[0].decode()}, which is not a number"
    return f"{name} is not JSON: {match['reason']} at byte {position}"


def _place_of_non_number(data: bytes) -> str | None:
    """The path of the first NaN or infinite number, by Python's own parser, which accepts them."""
    try:
        return _search(json.loads(data), "")
    except (ValueError, RecursionError):
        return None


def _search(value: Any, path: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    if isinstance(value, dict):
        children = [(f"{path}.{key}" if path else str(key), child) for key, child in value.items()]
    elif isinstance(value, list):
        children = [(f"{path}[{position}]", child) for position, child in enumerate(value)]
    else:
        return None
    return next((found for where, child in children if (found := _search(child, where)) is not None), None)
