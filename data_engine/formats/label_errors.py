"""Boxes that a model contradicts, as JSON: written for programs and people, and read back to send frames to review.

The form, version 1, UTF-8; later versions may add members, never change these::

    {"form": "dataengine-label-errors", "version": 1, "dataset": "v3", "dataset_id": ID, "model": ID,
     "classes": {NAME: {"boxes": 120, "found": 0.93, "confidence": 0.81, "overlap": 0.87}, ...},
     "findings": [{"rank": 1, "kind": "overlooked", "score": 0.93, "frame": ID, "file": NAME, "learned": false,
                   "box": ID or null, "label": NAME or null, "xywh": [x, y, w, h] or null,
                   "says": NAME or null, "probability": 0.97 or null, "place": [x, y, w, h] or null}, ...]}

``box``, ``label`` and ``xywh`` are what the dataset holds; ``says``, ``probability`` and ``place`` what the model says;
``learned`` is whether it was trained on the frame.  Boxes are in pixels of the full frame.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from data_engine.errors import DamagedInputError
from data_engine.formats import strict_json

FORM = "dataengine-label-errors"
VERSION = 1

Xywh = tuple[float, float, float, float]
Kind = Literal["overlooked", "swapped", "badly placed", "spurious"]


class Finding(msgspec.Struct, frozen=True):
    """One contradiction; see the module."""

    rank: int
    kind: Kind
    score: float
    frame: str
    file: str
    learned: bool
    box: str | None
    label: str | None
    xywh: Xywh | None
    says: str | None
    probability: float | None
    place: Xywh | None

    @property
    def question(self) -> str:
        """What to ask whoever looks at the frame."""
        sure = "" if self.probability is None else f" (the model: {self.probability:.2f})"
        if self.kind == "overlooked":
            return f"is a {self.says} overlooked here?{sure}"
        if self.kind == "swapped":
            return f"labelled {self.label}: is it a {self.says}?{sure}"
        if self.kind == "badly placed":
            return f"does this {self.label} box fit?{sure}"
        return f"is there a {self.label} at all? The model sees nothing"

    @property
    def where(self) -> Xywh | None:
        """The place to look at."""
        return self.xywh if self.place is None or self.kind == "badly placed" else self.place


class Usual(msgspec.Struct, frozen=True):
    """What is usual of the model on a class."""

    boxes: int
    found: float
    confidence: float
    overlap: float


class LabelErrors(msgspec.Struct, frozen=True):
    """A whole file."""

    dataset: str
    dataset_id: str
    model: str
    findings: tuple[Finding, ...]
    classes: dict[str, Usual] = {}
    form: str = FORM
    version: int = VERSION


def write(errors: LabelErrors) -> bytes:
    """The file, the same bytes for the same findings."""
    return msgspec.json.format(msgspec.json.encode(errors, order="deterministic"), indent=1) + b"\n"


def read(data: bytes, *, name: str) -> LabelErrors:
    """The findings of a file.

    Raises:
        DamagedInputError: it is none, or of a later version.
    """
    found = strict_json.decode(data, LabelErrors, name=name, what="a list of label errors")
    if found.form != FORM or found.version != VERSION:
        raise DamagedInputError(f"{name} is a {found.form} of version {found.version}, not {FORM} of version {VERSION}")
    return found
