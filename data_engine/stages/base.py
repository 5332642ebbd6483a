"""What the settings of every stage share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel, ConfigDict

from data_engine.types import content_id


@dataclass(frozen=True, slots=True)
class Spelled:
    """In a type's ``Annotated``: one value of it is given as one text of its own form, commas and all.

    Several values in one place are then separated by ``;``.
    """

    metavar: str
    """The form, as the help shows it: ``X,Y,W,H``."""


class StageSettings(BaseModel):
    """Settings of one stage: frozen, unknown names refused, every field with bounds and a description.

    The command line makes its options from the fields: ``confidence_threshold`` becomes ``--confidence-threshold``
    with the field's bounds, default and description.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def fingerprint(self) -> str:
        """A content id of the settings' values, the same in every process."""
        return content_id("settings", type(self).__name__, json.dumps(self.model_dump(mode="json"), sort_keys=True))


class Silent:
    """A progress that says nothing: where many work at once, the one that waits for them tells how far they are."""

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        """Begin one piece of work."""

    def advance(self, amount: int = 1) -> None:
        """Count what was done."""

    def note(self, text: str) -> None:
        """A remark that stays."""

    def finish(self) -> None:
        """End the piece of work."""


def spelling(annotation: object) -> Spelled | None:
    """How one value of a type is spelt, where its ``Annotated`` says so."""
    return next((part for part in get_args(annotation)[1:] if isinstance(part, Spelled)), None)
