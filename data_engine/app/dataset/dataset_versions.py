"""Which dataset version is meant: ``v3``, ``3``, or the beginning of its id."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from data_engine.app.engine import Engine
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import datasets
from data_engine.lineage.database import Connection
from data_engine.lineage.find import SHORTEST
from data_engine.types import ID_LENGTH, DatasetVersion
from data_engine.words import listed


def find_version(engine: Engine, text: str | None = None) -> DatasetVersion:
    """The version of that name; see :func:`version_named`."""
    with engine.database.read() as connection:
        return version_named(connection, text)


def version_named(connection: Connection, text: str | None = None) -> DatasetVersion:
    """The version that goes by a number (``v3``, ``3``), an id or the beginning of one; without a name the newest.

    Raises:
        MissingInputError: there is no version yet, or none of that name.
        UsageError: several ids begin so.
    """
    known = datasets.versions(connection)
    if not known:
        raise MissingInputError("there is no dataset version yet", hint="run first: dataengine export")
    if text is None:
        return known[-1]
    found = _meant(known, text.strip())
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"several ids of dataset versions begin with {text!r}: {listed([v.label for v in found])}",
            hint="name it by its number, or by more of its id",
        )
    labels = [version.label for version in known]
    near = difflib.get_close_matches(text.strip().lower(), labels, n=3) or labels[-1:]
    raise MissingInputError(
        f"there is no dataset version {text!r}; there are {len(known)}, among them {listed(near)}"
        if len(known) > 1
        else f"there is no dataset version {text!r}; there is {labels[0]}",
        hint="dataengine dataset log",
    )


def _meant(known: Sequence[DatasetVersion], text: str) -> list[DatasetVersion]:
    numbered = re.fullmatch(r"[vV]?0*(\d{1,9})", text)
    found = [version for version in known if numbered is not None and version.number == int(numbered[1])]
    if not found and SHORTEST <= len(text) <= ID_LENGTH:
        found = [version for version in known if version.id.startswith(text.lower())]
    return found
