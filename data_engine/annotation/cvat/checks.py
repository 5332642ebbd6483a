"""Whether server, account and project are as this tool needs them: some eight requests that change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from data_engine.annotation.cvat import versions
from data_engine.annotation.cvat.account import Account
from data_engine.annotation.cvat.attempts import Patience
from data_engine.annotation.cvat.connection import Connection
from data_engine.annotation.cvat.labels import DETECTORS_TYPES, Label
from data_engine.annotation.cvat.people import People
from data_engine.annotation.cvat.project import Project
from data_engine.errors import DataEngineError, ServiceError, UsageError
from data_engine.types import Check
from data_engine.words import counted, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from data_engine.ports import Ledger

_TIMEOUT_S, _PATIENCE_S = 5.0, 3.0
"""At most, whatever the settings say: somebody waits."""


def checks(
    account: Account,
    project: str,
    ledger: Ledger | None,
    classes: Sequence[str],
    *,
    timeout_s: float,
    patience_s: float,
) -> list[Check]:
    """Look at everything; what cannot be asked any more after a failure is left out.

    Args:
        account: may lack what it takes to log in.
        project: name or number.
        ledger: of the backend; only read, and None where it cannot be.
        classes: of the registry.
        timeout_s: as in the settings; at most 5.
        patience_s: the same; at most 3.
    """
    patience = Patience(min(patience_s, _PATIENCE_S))
    connection = Connection(account, timeout_s=min(timeout_s, _TIMEOUT_S), patience=patience)
    book = ledger or cast("Ledger", _Empty())
    found: list[Check] = []
    looks: dict[str, Callable[[], Iterator[Check]]] = {
        "CVAT": lambda: _server(connection),
        "CVAT account": lambda: _account(connection),
        "CVAT token": lambda: _token(connection),
        "CVAT people": lambda: _people(connection),
        "CVAT project": lambda: _project(connection, project, book, classes),
    }
    for name, look in looks.items():
        try:
            found.extend(look())
        except DataEngineError as error:
            found.append(Check(name, "bad", error.message, error.hint))
            # Without an answer, or without an account, nothing else can be asked.
            if isinstance(error, ServiceError) or name in ("CVAT", "CVAT account"):
                break
    return found


def sdk(version: str) -> Check:
    """The release of the client that is installed."""
    return _tried("cvat-sdk", version, version, versions.TRIED_SDKS)


def _tried(name: str, told: str, version: str, tried: Sequence[str]) -> Check:
    if versions.minor(version) in tried:
        return Check(name, "ok", told)
    return Check(name, "warn", f"{told}: never tried", f"look twice at what it does (tried: {', '.join(tried)})")


def _server(connection: Connection) -> Iterator[Check]:
    version = connection.server_version()
    yield _tried("CVAT", f"{version} at {connection.account.url}", version, versions.TRIED_SERVERS)


def _account(connection: Connection) -> Iterator[Check]:
    me = connection.me()
    kept = "access token" if connection.account.token else "password"
    where = f", organization {connection.account.organization}" if connection.account.organization else ""
    yield Check("CVAT account", "ok", f"{me['username']} by {kept}{where}")


def _token(connection: Connection) -> Iterator[Check]:
    if connection.account.token:
        told = "may write" if connection.refuse_read_only() else "the server does not tell whether it may write"
        yield Check("CVAT token", "ok", told)


def _people(connection: Connection) -> Iterator[Check]:
    try:
        number = People(connection).count()
    except UsageError as error:
        yield Check("CVAT people", "absent", error.message, error.hint)
    else:
        yield Check("CVAT people", "ok", f"{counted(number, 'account')} may be given jobs")


def _project(connection: Connection, name: str, ledger: Ledger, classes: Sequence[str]) -> Iterator[Check]:
    project = Project(connection, ledger, name)
    number = project.number()
    if number is None:
        yield Check("CVAT project", "absent", f"{name!r} is not there yet", "the first dataengine upload makes it")
        return
    yield Check("CVAT project", "ok", f"{name!r} is project {number}")
    labels = project.labels()
    yield _labels(labels, classes, _planned(ledger) if set(classes) - labels.keys() else set())


class _Empty:
    """What is asked of a ledger here, of one in which nothing stands."""

    def steps(self, _uid: str) -> dict[str, str]:
        return {}

    def numbers(self) -> dict[int, str]:
        return {}

    def labels(self, _uid: str) -> tuple[str, ...]:
        return ()


def _planned(ledger: Ledger) -> set[str]:
    """Labels that tasks were made with."""
    return {label for uid in ledger.numbers().values() for label in ledger.labels(uid)}


def _labels(labels: Mapping[str, Label], classes: Sequence[str], planned: set[str]) -> Check:
    """Whether labels and classes are in step."""
    lost = [name for name in classes if name not in labels and name in planned]
    if lost:
        repair = "somebody removed or renamed them: name them in CVAT as they were, or dataengine upload adds them anew"
        return Check("CVAT labels", "bad", f"no longer there: {listed(lost)}", repair)
    shapes = [name for name in classes if name in labels and labels[name].type not in DETECTORS_TYPES]
    if shapes:
        told = ", ".join(f"{name} is for a {labels[name].type}" for name in shapes)
        return Check("CVAT labels", "bad", told, "make it a rectangle (or any) in CVAT, or give the class another name")
    new = [name for name in classes if name not in labels]
    if new:
        return Check("CVAT labels", "absent", f"not there yet: {listed(new)}", "the next dataengine upload adds them")
    strange = [name for name in labels if name not in classes]
    if strange:
        repair = "boxes of them are counted and left out; to have them: [workspace] classes in dataengine.toml"
        return Check("CVAT labels", "warn", f"no class is called {listed(strange)}", repair)
    return Check("CVAT labels", "ok", f"in step with the {counted(len(classes), 'class')}")
