"""Accounts of the server: who may be given a job."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.failures import RefusedError
from data_engine.annotation.cvat.refusals import NoRightError
from data_engine.errors import ConflictError, UnknownPersonError, UsageError
from data_engine.types import Person

if TYPE_CHECKING:
    from data_engine.annotation.cvat.connection import Connection
    from data_engine.types import AccountRole

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
            UnknownPersonError: this account may not list them.
        """
        found = self._list()
        if len(found) == 1 and not self._connection.account.organization and not self._sees_all():
            # No refusal: the server shows an ordinary account itself and nobody else.
            raise self._blind()
        return found

    def count(self) -> int:
        """How many there are, in one request; UsageError where this account may not list them."""
        try:
            found = self._connection.request(
                "GET", "/api/users", query={"is_active": "true", "page_size": 1}, headers=self._everywhere()
            )
        except NoRightError:
            raise self._blind() from None
        if found["count"] == 1 and not self._connection.account.organization and not self._sees_all():
            raise self._blind()
        return int(found["count"])

    def numbered(self, name: str) -> int:
        """The server's number of a person; of this account itself, also where it may list nobody else.

        Raises:
            UnknownPersonError: nobody is called so, or has this e-mail, as far as this account may see.
            UsageError: several have it.
        """
        folded = name.casefold()

        def called() -> dict[int, Person]:
            return {p.id: p for p in self._list() if folded in (p.name.casefold(), p.email.casefold())}

        blind = None
        try:
            found = called()
            if not found:
                self._known = None  # somebody may have joined since
                found = called()
        except UnknownPersonError as error:
            found, blind = {}, error
        me = _person(self._connection.me())
        if not found and folded in (me.name.casefold(), me.email.casefold()):
            return me.id  # who may list nobody may not even see its own e-mail in a list
        if blind is not None:
            raise blind
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
        raise UnknownPersonError(
            f"nobody on {self._connection.account.server} is called {name!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else "see who there is: dataengine team list",
        )

    def add(self, name: str, email: str, password: str, role: AccountRole) -> Person:
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
        except NoRightError:
            raise UsageError(
                f"{server} does not let this account make others",
                hint="make it in CVAT (Admin page, Users) with an administrator's account",
            ) from None
        except RefusedError as error:
            taken = isinstance(error.body, dict) and any(
                "already" in str(error.body.get(field, "")) for field in ("username", "email")
            )
            if taken:
                raise ConflictError(f"{server}: {error.said}", hint=self._use(name, email, role)) from None
            raise UsageError(f"{server} refuses the account {name!r}: {error.said}") from None
        self._known = None
        given = "user"
        if self._connection.account.organization:
            given = "supervisor" if role == "reviewer" else "worker"
            self._invite(email, given)
        found = self._made(name, email)
        number = 0 if found is None else int(found["id"])
        return Person(number, name, email, given)

    def _use(self, name: str, email: str, role: AccountRole) -> str:
        """What to do with an account that is there, by its name or its address."""
        command = "dataengine sync --reviewer" if role == "reviewer" else "dataengine upload --assignee"
        rows = self._rows()
        by_name = [row for row in rows if str(row["username"]).casefold() == name.casefold()]
        by_address = [row for row in rows if str(row.get("email")).casefold() == email.casefold()]
        there = next(iter(by_name + by_address), None)
        if there is None:
            return "see who there is: dataengine team list"
        address = f" ({there['email']})" if there.get("email") else ""
        found = there["username"]
        return f"{found}{address} has an account already, which can be used as it is: {command} {found}"

    def _invite(self, email: str, role: str) -> None:
        try:
            self._connection.request("POST", "/api/invitations", json={"email": email, "role": role})
        except NoRightError as error:
            raise UsageError(
                f"the account is made, but {error.message}", hint="its organization's owner can invite it in CVAT"
            ) from None
        except RefusedError as error:
            if "already" not in error.said:
                raise

    def _made(self, name: str, email: str) -> dict[str, Any] | None:
        rows = self._rows(username=name)
        return next((r for r in rows if r["username"] == name and r.get("email", email) == email), None)

    def _list(self) -> list[Person]:
        known = self._known  # another thread may forget them meanwhile
        if known is None:
            try:
                rows = self._rows(is_active="true")
            except NoRightError:
                raise self._blind() from None
            known = self._known = sorted((_person(row) for row in rows), key=lambda person: person.name)
        return known

    def _rows(self, **query: Any) -> list[dict[str, Any]]:
        return self._connection.pages("/api/users", headers=self._everywhere(), **query)

    def _everywhere(self) -> dict[str, None] | None:
        # In the account's own space the server lists those who are in no organization; without one said, everybody.
        return None if self._connection.account.organization else {"X-Organization": None}

    def _sees_all(self) -> bool:
        me = self._connection.me()
        return bool(me.get("is_superuser")) or "admin" in me.get("groups", ())

    def _blind(self) -> UnknownPersonError:
        return UnknownPersonError(
            f"this account may not list the people of {self._connection.account.server}", hint=_HINT
        )


def _person(row: dict[str, Any]) -> Person:
    groups = row.get("groups") or [""]
    return Person(int(row["id"]), str(row["username"]), str(row.get("email") or ""), str(groups[0]))
