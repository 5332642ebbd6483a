"""People by the names that jobs carry, however somebody typed them: by name or e-mail, in any case."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from data_engine.errors import UnknownPersonError, UsageError
from data_engine.lineage import people as lineage_people

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_engine.app.engine import Engine
    from data_engine.ports import AnnotationBackend
    from data_engine.types import Person, Stage


def who(engine: Engine, backend: AnnotationBackend, given: str | None) -> str | None:
    """The name of the person meant; what was given where nobody is known by it, or several are."""
    if not given:
        return given
    return _meant(given.strip(), *_known(engine, backend)) or given.strip()


def known(engine: Engine, backend: AnnotationBackend, given: str) -> str:
    """The name of the person meant.

    Raises:
        UnknownPersonError: nobody is known by it, and nobody of this name has or had a job.
    """
    people, names = _known(engine, backend)
    found = _meant(given.strip(), people, names)
    if found is not None:
        return found
    words = {word.casefold(): word for person in people for word in (person.name, person.email) if word}
    words |= {name.casefold(): name for name in names}
    near = [words[word] for word in difflib.get_close_matches(given.strip().casefold(), words, n=3)]
    raise UnknownPersonError(
        f"nobody is known as {given.strip()!r}",
        hint=f"did you mean {' or '.join(near)}?" if near else "see who there is: dataengine team list",
    )


def account_of(backend: AnnotationBackend, name: str) -> str:
    """The account of somebody who was known by their e-mail before they had one; the name where there is none."""
    try:
        people = backend.people()
    except UsageError:
        return name
    if any(name == person.name for person in people):
        return name
    found = {person.name for person in people if person.email and person.email.casefold() == name.casefold()}
    return found.pop() if len(found) == 1 else name


def is_there(backend: AnnotationBackend, name: str) -> bool:
    """Whether a person can be given a job, as far as this account can see."""
    try:
        people = backend.people()
    except UsageError:
        return True  # the server says so itself
    return not people or any(name == person.name for person in people)


def left_note(job: int, name: str, stage: Stage = "annotation") -> str:
    """What to say of a job that was to be given to somebody whom the server does not know any more."""
    role = "annotator" if stage == "annotation" else "reviewer"
    return (
        f"job {job}: its {role} {name} is not known on the annotation server any more, so it is in {stage} with "
        f"nobody: dataengine review assign {job} --to NAME --as {role}"
    )


def _known(engine: Engine, backend: AnnotationBackend) -> tuple[Sequence[Person], set[str]]:
    try:
        people = backend.people()
    except UsageError:
        people = []  # this account may not list them
    with engine.database.read() as connection:
        return people, lineage_people.names(connection, backend.name)


def _meant(given: str, people: Sequence[Person], names: set[str]) -> str | None:
    if given in names or any(given == person.name for person in people):
        return given
    folded = given.casefold()
    by_list = {p.name for p in people if folded in (p.name.casefold(), p.email.casefold())}
    for found in (by_list, {name for name in names if name.casefold() == folded}):
        if len(found) == 1:
            return found.pop()
    return None
