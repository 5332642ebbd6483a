"""``team``: who annotates and reviews, and accounts for them where the server allows it."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING

from data_engine.app.jobs import refresh
from data_engine.errors import UsageError
from data_engine.ports import Team
from data_engine.types import Person, Report, Role

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

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
        notes=()
        if people
        else (f"the annotation backend {backend.name!r} keeps no list of people: any name can be given jobs",),
    )


def add_person(engine: Engine, name: str, email: str, role: Role) -> Report:
    """Make an account.  A password that is made up is in the report's table, and nowhere else.

    Raises:
        UsageError: the backend keeps no accounts, or does not let this account make others; a name or address that
            is none.
        ConflictError: there is such an account.
    """
    backend = engine.backend()
    if not isinstance(backend, Team):
        raise UsageError(
            f"the annotation backend {backend.name!r} keeps no accounts: any name can be given jobs",
            hint=f"dataengine upload --assignee {name}",
        )
    if not name.strip() or any(letter.isspace() for letter in name.strip()):
        raise UsageError(f"{name!r} is not a name to log in with", hint="letters, digits and . _ - without spaces")
    if email.count("@") != 1 or email.strip("@") != email:
        raise UsageError(f"--email {email}: not an address", hint="as in ada@example.com")
    given = engine.settings.team.password
    password = given.get_secret_value() if given else secrets.token_urlsafe(_PASSWORD_BYTES)
    person = backend.add_person(name.strip(), email.strip(), password, role)
    roles = backend.has_roles()
    notes = [] if given else [f"the password is shown this once: give it to {person.name}, who can change it"]
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
