"""``team``: who annotates and reviews, and accounts for them: on the annotation server or for the pages."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING, cast

from data_engine.annotation.accounts import FILE, Accounts
from data_engine.app.annotation.jobs import refresh
from data_engine.errors import UsageError
from data_engine.ports import Team
from data_engine.types import AccountRole, Person, Report
from data_engine.words import listed

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.ports import AnnotationBackend

_PASSWORD_BYTES = 12


def list_people(engine: Engine) -> Report:
    """Everybody whom the annotation backend knows, or who has or had a job; with what they have to do and have done."""
    backend = engine.backend()
    people = {person.name: person for person in backend.people()}
    to_annotate: Counter[str | None] = Counter()
    to_review: Counter[str | None] = Counter()
    annotated: Counter[str | None] = Counter()
    reviewed: Counter[str | None] = Counter()
    for seen in refresh(engine, backend):
        if seen.job.accepted:
            annotated[seen.known.annotator] += 1
            reviewed[seen.known.reviewer] += 1
        else:
            (to_annotate if seen.job.stage == "annotation" else to_review)[seen.job.assignee] += 1
    named = {name for count in (to_annotate, to_review, annotated, reviewed) for name in count if name}
    for name in named - people.keys():
        people[name] = Person(0, name)
    notes = [] if people else ["nobody has an account: any name can be given jobs (accounts: dataengine team add)"]
    if not backend.edits_files and (of_pages := accounts_of(engine).all()):
        notes.append(f"accounts of the pages: {listed([f'{one.name} ({one.role})' for one in of_pages], most=20)}")
    return Report(
        title=f"{len(people)} {'person' if len(people) == 1 else 'people'}",
        data={"people": len(people)},
        rows=tuple(
            {
                "name": name,
                "email": person.email,
                "role": person.role,
                "to_annotate": to_annotate[name],
                "to_review": to_review[name],
                "annotated": annotated[name],
                "reviewed": reviewed[name],
            }
            for name, person in sorted(people.items(), key=lambda entry: entry[0].casefold())
        ),
        notes=tuple(notes),
    )


def add_person(engine: Engine, name: str, email: str, role: AccountRole, *, pages: bool = False) -> Report:
    """Make an account.  A password that is made up is in the report's table, and nowhere else.

    Args:
        engine: the workspace.
        name: what they log in with.
        email: their address.
        role: what they are to do.
        pages: for the workspace's own pages, also where people annotate on a server.

    Raises:
        UsageError: the backend keeps no accounts, or does not let this account make others; a name or address that
            is none.
        ConflictError: there is such an account.
    """
    backend = engine.backend()
    name, email = name.strip(), email.strip()
    if not name or any(letter.isspace() for letter in name):
        raise UsageError(f"{name!r} is not a name to log in with", hint="letters, digits and . _ - without spaces")
    if email.count("@") != 1 or email.strip("@") != email:
        raise UsageError(f"--email {email}: not an address", hint="as in ada@example.com")
    if pages or backend.edits_files:
        return _added_for_pages(engine, name, email, role)
    return _added_on_server(engine, backend, name, email, role)


def set_password(engine: Engine, name: str) -> Report:
    """Give an account of the pages another password, which ends its sessions; MissingInputError where there is none."""
    password, given = _password(engine)
    account = accounts_of(engine).set_password(name, password)
    return Report(
        title=f"{account.name} has another password",
        data={"name": account.name},
        rows=({"name": account.name, **({} if given else {"password": password})},),
        notes=(*_shown_once(account.name, given), "who was signed in with the old one is not any more"),
    )


def remove_person(engine: Engine, name: str) -> Report:
    """Take an account of the pages away; MissingInputError where there is none.  What they did stays theirs."""
    accounts = accounts_of(engine)
    account = accounts.remove(name)
    left = accounts.all()
    notes = [] if left else ["nobody has an account now: the pages are served to this machine only, without passwords"]
    return Report(
        title=f"{account.name} has no account any more",
        data={"name": account.name, "accounts": len(left)},
        notes=tuple(notes),
        next="dataengine review list",
    )


def make_token(engine: Engine, name: str, *, revoke: bool = False) -> Report:
    """Make a token with which scripts ask the pages as this person, or take all of theirs back.

    Raises:
        MissingInputError: nobody has an account of this name.
    """
    accounts = accounts_of(engine)
    if revoke:
        account = accounts.without_tokens(name)
        return Report(title=f"{account.name} has no token any more", data={"name": account.name})
    account, token = accounts.new_token(name)
    # In the table only: titles and data are logged, rows are not.
    return Report(
        title=f"{account.name} has a token more",
        data={"name": account.name, "tokens": len(account.tokens)},
        rows=({"name": account.name, "token": token},),
        notes=("the token is shown this once; how scripts send it: docs/web.md",),
    )


def accounts_of(engine: Engine) -> Accounts:
    """The accounts of the workspace's pages."""
    return Accounts(engine.storage.path(FILE))


def _added_for_pages(engine: Engine, name: str, email: str, role: AccountRole) -> Report:
    password, given = _password(engine)
    account = accounts_of(engine).add(name, email, password, role)
    row: dict[str, object] = {"name": account.name, "email": account.email, "role": account.role}
    return Report(
        title=f"{account.name} has an account as {'a reviewer' if role == 'reviewer' else f'an {role}'}",
        data={"name": account.name, "role": account.role},
        rows=(row if given else row | {"password": password},),
        notes=_shown_once(account.name, given),
        next=f"dataengine upload --assignee {account.name}" if role == "annotator" else "dataengine serve",
    )


def _added_on_server(engine: Engine, backend: AnnotationBackend, name: str, email: str, role: AccountRole) -> Report:
    if not isinstance(backend, Team):
        raise UsageError(f"the annotation backend {backend.name!r} keeps no accounts")
    team = cast("Team", backend)
    password, given = _password(engine)
    person = team.add_person(name, email, password, role)
    roles = team.has_roles()
    notes = [*_shown_once(person.name, given)]
    if role == "reviewer" and not roles:
        notes.append(
            "outside an organization ([cvat] organization) accounts have no role on the server: who reviews is named "
            f'by [sync] reviewer = ["{person.name}"] in dataengine.toml'
        )
    told = {"role": role} if roles else {}
    row: dict[str, object] = {"name": person.name, "email": person.email, **told, "server_role": person.role}
    # In the table only: titles and data are logged, rows are not.
    return Report(
        title=f"{person.name} has an account"
        + ("" if not roles else " as an annotator" if role == "annotator" else " as a reviewer"),
        data={"name": person.name, **told},
        rows=(row if given else row | {"password": password},),
        notes=tuple(notes),
        next=f"dataengine upload --assignee {person.name}"
        if role == "annotator"
        else f"dataengine sync --reviewer {person.name}",
    )


def _password(engine: Engine) -> tuple[str, bool]:
    """The password of the settings, else one that is made up; and whether it was given."""
    given = engine.settings.team.password
    return (given.get_secret_value(), True) if given else (secrets.token_urlsafe(_PASSWORD_BYTES), False)


def _shown_once(name: str, given: bool) -> tuple[str, ...]:
    return () if given else (f"the password is shown this once: give it to {name}",)
