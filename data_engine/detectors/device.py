"""The device a user asks for, as text: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from data_engine.errors import UsageError


class Device(NamedTuple):
    """A parsed request."""

    kind: Literal["auto", "cpu", "cuda"]
    number: int
    """Number of the GPU; 0 where none was named."""


def parse_device(text: str) -> Device:
    """The request that ``text`` stands for; UsageError when it is none."""
    match = re.fullmatch(r"(auto|cpu|cuda)(?::(\d{1,3}))?", text.strip().lower())
    if match is None or (match[2] and match[1] != "cuda"):
        raise UsageError(f"device {text!r} is unknown", hint="choose auto, cpu, cuda or cuda:0")
    kind: Literal["auto", "cpu", "cuda"] = "cuda" if match[1] == "cuda" else "cpu" if match[1] == "cpu" else "auto"
    return Device(kind, int(match[2] or 0))
