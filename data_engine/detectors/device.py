"""The devices a user asks for, as text: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt``, ``tensorrt:N``."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast

from data_engine.errors import UsageError

Kind = Literal["auto", "cpu", "cuda", "tensorrt"]


class Device(NamedTuple):
    """A parsed request."""

    kind: Kind
    number: int
    """Number of the GPU; 0 where none was named."""


def parse_device(text: str) -> Device:
    """The request that ``text`` stands for; UsageError when it is none."""
    match = re.fullmatch(r"(auto|cpu|cuda|tensorrt)(?::(\d{1,3}))?", text.strip().lower())
    if match is None or (match[2] and match[1] in ("auto", "cpu")):
        raise UsageError(
            f"device {text!r} is unknown",
            hint="choose auto, cpu, cuda, cuda:0 or tensorrt, or several: cuda:0,cuda:1",
        )
    return Device(cast("Kind", match[1]), int(match[2] or 0))


def listed_devices(text: str) -> tuple[str, ...]:
    """The devices of a list such as ``cuda:0,cuda:1``, each to be given to a worker of its own.

    Raises:
        UsageError: one of them is unknown, or ``auto`` among several.
    """
    devices = tuple(part.strip() for part in text.split(","))
    kinds = [parse_device(device).kind for device in devices]
    if len(devices) > 1 and "auto" in kinds:
        raise UsageError(f"devices {text!r}: auto chooses one device", hint="name each: cuda:0,cuda:1")
    return devices
