"""Accounts of the server: who may be given a job."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.connection import NO_RIGHT
from data_engine.annotation.cvat.failures import RefusedError
from data_engine.errors import ConflictError, UsageError
from data_engine.types import Person

if TYPE_CHECKING:
    from data_engine.annotation.cvat.connection import Connection
    from data_engine.types import Role

_HINT = "let this tool work for an administrator's account, or inside an organization: [cvat] organization"


class People:
    """The accounts that this one may see.

    Args:
        connection: to the server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: list[Person] | None = None

    def all(self) -> list[Person]:
        """Everybody, by name.

        Raises:
            UsageError: this account may not list them.
        """
        found = self._list()
        if len(found) == 1 and not self._connection.account.organization and not self._sees_all():
            # No refusal: the server shows an ordinary account itself and nobody else.
            raise self._blind()
        return found

    def numbered(self, name: str) -> int:
        """The server's number of a person.

        Raises:
            UsageError: nobody is called so, or has this e-mail; several have it.
        """
        folded = name.casefold()

        def called() -> dict[int, Person]:
            return {p.id: p for p in self._list() if folded in (p.name.casefold(), p.email.casefold())}

        found = called()
        if not found:
            self._known = None  # somebody may have joined since
            found = called()
        exact = [number for number, person in found.items() if person.name == name]
        if len(exact) == 1 or len(found) == 1:
            return (exact or list(found))[0]
        if found:
            names = ", ".join(sorted(person.name for person in found.values()))
            raise UsageError(f"several people are meant by {name!r}: {names}", hint="give one by name")
        if len(self._list()) == 1 and not self._connection.account.organization and not self._sees_all():
            raise self._blind()
        known = [word for person in self._list() for word in (person.name, person.email) if word]
        near = difflib.get_close_matches(name, known, n=3)
        raise UsageError(
            f"nobody on {self._connection.account.server} is called {name!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else "see who there is: dataengine team list",
        )

    def add(self, name: str, email: str, password: str, role: Role) -> Person:
        """Register an account; inside an organization it is made a member, a reviewer as ``supervisor``.

        Raises:
            ConflictError: there is such a name or e-mail.
            UsageError: the server does not let anybody register, or refuses the name or the password.
        """
        body = {
            "username": name,
            "email": email,
            "password1": password,
            "password2": password,
        }
        server = self._connection.account.server
        try:
            # Anonymously, for it logs the session in that it comes with: this account's would end.
            self._connection.request(
                "POST", "/api/auth/register", json=body, look=lambda: self._made(name, email), anonymous=True
            )
        except NO_RIGHT:
            raise UsageError(
                f"{server} does not let this account make others",
                hint="make it in CVAT (Admin page, Users) with an administrator's account",
            ) from None
        except RefusedError as error:
            taken = isinstance(error.body, dict) and any(
                "already" in str(error.body.get(field, "")) for field in ("username", "email")
            )
            if taken:
                raise ConflictError(f"{server}: {error.said}", hint="dataengine team list") from None
            raise UsageError(f"{server} refuses the account {name!r}: {error.said}") from None
        self._known = None
        if self._connection.account.organization:
            self._invite(email, "supervisor" if role == "reviewer" else "worker")
        found = self._made(name, email)
        number = 0 if found is None else int(found["id"])
        return Person(number, name, email, "user")

    def _invite(self, email: str, role: str) -> None:
        try:
            self._connection.request("POST", "/api/invitations", json={"email": email, "role": role})
        except NO_RIGHT as error:
            raise UsageError(
                f"the account is made, but {error.message}", hint="its organization's owner can invite it in CVAT"
            ) from None
        except RefusedError as error:
            if "already" not in error.said:
                raise

    def _made(self, name: str, email: str) -> dict[str, Any] | None:
        rows = self._connection.pages("/api/users", username=name)
        return next((r for r in rows if r["username"] == name and r.get("email", email) == email), None)

    def _list(self) -> list[Person]:
        if self._known is None:
            try:
                rows = self._connection.pages("/api/users", is_active="true")
            except NO_RIGHT:
                raise self._blind() from None
            self._known = sorted((_person(row) for row in rows), key=lambda person: person.name)
        return self._known

    def _sees_all(self) -> bool:
        me = self._connection.me()
        return bool(me.get("is_superuser")) or "admin" in me.get("groups", ())

    def _blind(self) -> UsageError:
        return UsageError(f"this account may not list the people of {self._connection.account.server}", hint=_HINT)


def _person(row: dict[str, Any]) -> Person:
    groups = row.get("groups") or [""]
    return Person(int(row["id"]), str(row["username"]), str(row.get("email") or ""), str(groups[0]))
