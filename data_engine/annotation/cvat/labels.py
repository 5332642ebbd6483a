"""Labels with the attributes that carry a proposal through the correction, and what a project lacks of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_engine.types import CONFIDENCE, PROPOSAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ORIGIN = "origin"
"""Attribute that says for people where a box came from."""
PERSON, MODEL = "person", "model"
"""Its values; a box that is drawn in the browser gets the first."""
DETECTORS_TYPES = ("any", "rectangle")
"""Types of labels that boxes can have."""
_ATTRIBUTES: tuple[dict[str, Any], ...] = (
    # Text, for a number is rounded to its step, and a box that a person drew has none.
    {"name": CONFIDENCE, "mutable": False, "input_type": "text", "default_value": "", "values": []},
    {"name": PROPOSAL, "mutable": False, "input_type": "text", "default_value": "", "values": []},
    {"name": ORIGIN, "mutable": False, "input_type": "select", "default_value": PERSON, "values": [PERSON, MODEL]},
)


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a project."""

    id: int
    """The server's number."""
    name: str
    type: str
    """``any``, ``rectangle``, ``polygon`` …"""
    attributes: Mapping[int, str]
    """Names of its attributes by the server's numbers."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Label:
        """From the server's own words."""
        attributes = {int(spec["id"]): str(spec["name"]) for spec in row["attributes"]}
        return cls(int(row["id"]), str(row["name"]), str(row["type"]), attributes)


def lacking(names: Iterable[str], labels: Iterable[Label]) -> list[dict[str, Any]]:
    """What to PATCH a project's ``labels`` with, so that it has these names with all attributes; nothing is removed."""
    known = {label.name: label for label in labels}
    changes: list[dict[str, Any]] = []
    for name in names:
        label = known.get(name)
        if label is None:
            changes.append({"name": name, "type": "rectangle", "attributes": [dict(spec) for spec in _ATTRIBUTES]})
            continue
        new = [dict(spec) for spec in _ATTRIBUTES if spec["name"] not in label.attributes.values()]
        if new:
            changes.append({"id": label.id, "attributes": new})
    return changes
