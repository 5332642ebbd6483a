"""The entries of the header, by role."""

from __future__ import annotations

from dataclasses import dataclass

from data_engine.types import AccountRole
from data_engine.web.people import Person


@dataclass(frozen=True, slots=True)
class Entry:
    """A link of the header."""

    label: str
    address: str
    least: AccountRole = "annotator"
    """The role from which it is shown; its routes check it themselves."""
    current: bool = False


ENTRIES = (
    Entry("Wheel", "/"),
    Entry("My jobs", "/jobs"),
    Entry("Review", "/review", "reviewer"),
    Entry("Frames", "/frames"),
    Entry("Selections", "/selections"),
    Entry("Versions", "/versions"),
)


def entries(person: Person | None, path: str) -> list[Entry]:
    """What this person sees, with the entry of this path marked."""
    if person is None:
        return []
    shown = [entry for entry in ENTRIES if person.is_at_least(entry.least)]
    return [Entry(entry.label, entry.address, entry.least, _holds(entry.address, path)) for entry in shown]


def _holds(address: str, path: str) -> bool:
    return path == address or (address != "/" and path.startswith(f"{address}/"))
