"""``db``: the lineage database itself."""

from __future__ import annotations

from collections.abc import Callable

from data_engine.app.engine import Engine
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import migrate
from data_engine.types import Report


def upgrade(engine: Engine) -> Report:
    """Bring the schema to this release's."""
    engine.make_state_folder()
    before = migrate.current(engine.database)
    migrate.upgrade(engine.database, before)
    return Report(
        title="the lineage database is up to date" if before == migrate.HEAD else "the lineage database was upgraded",
        data={"database": engine.database.shown, "before": before, "revision": migrate.HEAD},
    )


def downgrade(
    engine: Engine, revision: str, *, dry_run: bool, force: bool = False, sure: Callable[[str], bool]
) -> Report:
    """Take the schema back to that of an older release, in one transaction.

    Args:
        engine: the workspace, whose database was not brought up to date.
        revision: what to go back to; ``base`` for nothing at all.
        dry_run: only say what would go.
        force: also where it does what going up again does not mend.
        sure: asked with a sentence that says what goes.

    Raises:
        MissingInputError: there is no schema yet.
        UsageError: no such revision, or not an older one.
        ConflictError: the database is of a newer release; or it would do lasting harm.
    """
    found = migrate.current(engine.database) if engine.database.exists() else None
    if found is None:
        raise MissingInputError(f"{engine.database.shown} holds no lineage yet", hint="dataengine db upgrade")
    known = migrate.revisions()
    if found not in known:
        raise ConflictError(
            f"the lineage database is at revision {found}, which this release does not know",
            hint="install the release that wrote it",
        )
    older = ["base", *known[: known.index(found)]]
    if revision not in older:
        raise UsageError(
            f"{revision!r} is no revision before {found}, at which the lineage database is",
            hint=f"there are {', '.join(older)}",
        )
    harm = migrate.harm(engine.database, revision)
    if harm and not (force or dry_run):
        raise ConflictError(
            f"going back to revision {revision} does what going up again does not mend: {'; '.join(harm)}",
            hint=f"a copy of {engine.database.shown} brings all of it back; without one: add --force",
        )
    engine.progress.note(f"looking at what goes with revision {revision}: it is done once and taken back")
    lost = migrate.losses(engine.database, revision)
    gone = ", ".join(f"{loss.what} ({loss.rows})" for loss in lost) or "nothing"
    done = not dry_run and sure(f"back to revision {revision}, the lineage database loses for good: {gone}")
    if done:
        migrate.downgrade(engine.database, revision)
    title = "was taken back" if done else "would be taken back" if dry_run else "stays as it is"
    return Report(
        title=f"the lineage database {title}",
        data={"database": engine.database.shown, "before": found, "revision": revision if done else found},
        rows=tuple({"lost": loss.what, "rows": loss.rows} for loss in lost),
        notes=(
            *(f"going up again does not mend it: {what}" for what in harm),
            *((f"install the release of revision {revision} now: the next command of this one goes up again",) * done),
        ),
    )


def check(engine: Engine) -> Report:
    """Compare the database with what this release expects.

    Raises:
        MissingInputError: there is no schema yet.
        ConflictError: it differs; the first difference is named.
    """
    # To ask an embedded database that is not there would make its file.
    found = migrate.current(engine.database) if engine.database.exists() else None
    if found is None:
        raise MissingInputError(f"{engine.database.shown} holds no lineage yet", hint="dataengine db upgrade")
    if found != migrate.HEAD:
        raise ConflictError(
            f"the lineage database is at revision {found}, this release at {migrate.HEAD}", hint="dataengine db upgrade"
        )
    differences = migrate.differences(engine.database)
    if differences:
        raise ConflictError(f"the lineage database differs from its revision: {differences[0]}")
    return Report(
        title="the lineage database is sound",
        data={"database": engine.database.shown, "revision": found, "dialect": engine.database.dialect},
    )
