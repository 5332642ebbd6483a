"""The project that everything goes into: found or made, and its labels kept in step."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.failures import RefusedError
from data_engine.annotation.cvat.labels import DETECTORS_TYPES, Label, lacking
from data_engine.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_engine.annotation.cvat.connection import Connection
    from data_engine.ports import Ledger

_UID = "project"
"""What the project goes by in the ledger, so that it is the same one ever after, whatever it is renamed to."""
_NUMBER = "number"


class Project:
    """A project by its name, or by its number where the name is one.

    Args:
        connection: to the server.
        ledger: remembers its number.
        name: as in the settings.
    """

    def __init__(self, connection: Connection, ledger: Ledger, name: str) -> None:
        self._connection = connection
        self._ledger = ledger
        self.name = name
        self._number: int | None = None
        self._labels: dict[str, Label] | None = None

    def number(self) -> int | None:
        """The server's number of the project; None where there is none yet.

        Raises:
            UsageError: several have this name, or none has this number.
        """
        if self._number is None:
            self._number = self._find()
        return self._number

    def _find(self) -> int | None:
        if self.name.isdecimal():
            if self._exists(int(self.name)):
                return int(self.name)
            raise UsageError(f"{self._connection.account.server} has no project {self.name}", hint="see [cvat] project")
        known = self._ledger.steps(_UID).get(_NUMBER)
        if known is not None and self._exists(int(known)):
            return int(known)
        found = self._named()
        if len(found) > 1:
            raise UsageError(
                f"{self._connection.account.server} has several projects named {self.name!r}: "
                f"{', '.join(map(str, found))}",
                hint=f'name one by its number: [cvat] project = "{found[0]}"',
            )
        return found[0] if found else None

    def _exists(self, number: int) -> bool:
        try:
            self._connection.get(f"/api/projects/{number}")
        except RefusedError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _named(self) -> list[int]:
        rows = self._connection.pages("/api/projects", name=self.name)
        return [row["id"] for row in rows if row["name"] == self.name]

    def made(self, labels: Sequence[str]) -> int:
        """The number of the project, which is made where there is none, and has these labels afterwards."""
        with self._ledger.alone(_UID):
            number = self.number()
            if number is None:
                number = self._number = self._make()
            if not self.name.isdecimal():
                self._ledger.record(_UID, _NUMBER, str(number))
            self._keep_in_step(number, labels)
        return number

    def _make(self) -> int:
        body = {"name": self.name, "labels": []}

        def look() -> dict[str, Any] | None:
            found = self._named()
            return {"id": found[0]} if found else None

        troubles = self._connection.troubles
        made = int(self._connection.request("POST", "/api/projects", json=body, look=look)["id"])
        # An answer that was lost may belong to a project that appeared only after the second try.
        for double in self._named() if self._connection.troubles != troubles else ():
            if double != made and not self._connection.pages("/api/tasks", project_id=double):
                with contextlib.suppress(RefusedError):
                    self._connection.request("DELETE", f"/api/projects/{double}")
        return made

    def _keep_in_step(self, number: int, names: Sequence[str]) -> None:
        def call() -> dict[str, Label]:
            # The labels are asked for in every try: of a try whose answer was lost nothing is added again.
            known = self._read_labels(number)
            changes = lacking(names, known.values())
            if not changes:
                return known
            self._connection.once("PATCH", f"/api/projects/{number}", None, {"labels": changes})
            return self._read_labels(number)

        labels = self._labels = self._connection.trying(call)
        for name in names:
            if name not in labels:
                raise ServiceError(f"{self._connection.account.server} did not add the label {name!r}")
            if labels[name].type not in DETECTORS_TYPES:
                raise UsageError(
                    f"the label {name!r} of the project {self.name!r} is for a {labels[name].type}, not for boxes",
                    hint="make it a rectangle (or any) in CVAT, or give the class another name",
                )

    def _read_labels(self, number: int) -> dict[str, Label]:
        rows = self._connection.pages("/api/labels", project_id=number)
        return {row["name"]: Label.of(row) for row in rows if not row.get("has_parent")}

    def forget_labels(self) -> None:
        """The next question for them goes to the server."""
        self._labels = None

    def labels(self, *, fresh: bool = False) -> dict[str, Label]:
        """Labels by name; ``fresh`` asks the server again."""
        number = self.number()
        if number is None:
            return {}
        labels = self._labels  # another thread may forget them meanwhile
        if labels is None or fresh:
            labels = self._labels = self._read_labels(number)
        return labels
