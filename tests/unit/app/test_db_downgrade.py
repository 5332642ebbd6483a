"""A full database goes up, down and up again with every row that both schemas can hold, also when it is killed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from drawn_workspace import draw

from data_engine.app import db
from data_engine.app.annotation.upload import upload
from data_engine.app.engine import Engine
from data_engine.app.merge.dataset_import import Wanted, import_dataset
from data_engine.app.merge.export import export
from data_engine.cli.main import main
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import migrate, tables
from data_engine.lineage.database import Connection, Database
from data_engine.lineage.migrate import HEAD

Rows = dict[str, list[tuple[Any, ...]]]
_ONE_OF = re.compile(r"(\w+) in \('([^']+)'")


def full(engine: Engine, folder: Path) -> None:
    """One turn of the loop, an import that keeps frames for judging, and a row in every table that is empty then."""
    upload(engine, frames=folder / "frames_sampled")
    engine_work(engine)
    export(engine)
    for side in ("train", "test"):
        draw(folder / "bees" / side / "images" / f"{side}.jpg", len(side))
        (folder / "bees" / side / "labels").mkdir(parents=True)
        (folder / "bees" / side / "labels" / f"{side}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (folder / "bees" / "data.yaml").write_text("names: [person]\n")
    import_dataset(engine, folder / "bees", Wanted(split="keep"))
    with engine.database.write() as connection:
        for table in tables.metadata.sorted_tables:
            if connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0:
                connection.execute(sa.insert(table), [{c.name: _value(connection, table, c) for c in table.columns}])


def engine_work(engine: Engine) -> None:
    from drawn_workspace import truth

    from data_engine.demo.people import work

    work(engine, truth, annotator="ann@example.com", reviewer="rev@example.com")


def _value(connection: Connection, table: sa.Table, column: sa.Column[Any]) -> Any:
    """Something that the column may hold."""
    for key in column.foreign_keys:
        return connection.scalar(sa.select(key.column).limit(1))
    for check in table.constraints:
        if isinstance(check, sa.CheckConstraint):
            allowed = _ONE_OF.search(str(check.sqltext))
            if allowed is not None and allowed[1] == column.name:
                return allowed[2]
    kinds: list[tuple[type, Any]] = [(sa.JSON, {"a": 1}), (sa.Boolean, True), (sa.LargeBinary, b"x"), (sa.Integer, 7)]
    return next((value for kind, value in kinds if isinstance(column.type, kind)), 0.5 if _is_real(column) else "7")


def _is_real(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.Double)


@pytest.fixture
def engine(workspace, database_url) -> Engine:
    workspace.draw("frames_sampled", range(1, 4))
    made = workspace.open(
        database={"url": database_url}, upload={"task_size": 3, "job_size": 3}, export={"valid_fraction": 0.0}
    )
    full(made, workspace.root)
    return made


def columns(database: Database) -> dict[str, set[str]]:
    with database.read() as connection:
        inspected = sa.inspect(connection)
        return {
            name: {column["name"] for column in inspected.get_columns(name)}
            for name in inspected.get_table_names()
            if name != "alembic_version"
        }


def rows(database: Database, of: dict[str, set[str]]) -> Rows:
    """Every row of these columns."""
    with database.read() as connection:
        return {table: _read(connection, table, sorted(names)) for table, names in of.items()}


def _read(connection: Connection, table: str, names: list[str]) -> list[tuple[Any, ...]]:
    query = sa.select(*map(sa.column, names)).select_from(sa.table(table))
    # The older schema has no golden side: the guard is at least not trained on.
    told = [tuple("guard" if value == "golden" else value for value in row) for row in connection.execute(query)]
    return sorted(told, key=repr)


def test_every_row_that_both_schemas_hold_stays(engine):
    """From the newest to each older one and back, the nearest first: what one knows longest goes last."""
    database = engine.database
    newest = columns(database)
    assert all(rows(database, newest).values())
    for revision in migrate.revisions()[-2::-1]:
        before = rows(database, newest)
        lost = {loss.what: loss.rows for loss in migrate.losses(database, revision)}
        # To look changes nothing.
        assert (migrate.current(database), rows(database, newest)) == (HEAD, before)
        migrate.downgrade(database, revision)
        older = columns(database)
        both = {name: older[name] & newest[name] for name in older.keys() & newest.keys()}
        kept = rows(database, both)
        gone = {table: len(before[table]) for table in newest.keys() - older.keys() if before[table]}
        assert {what: number for what, number in lost.items() if what in newest} == gone
        migrate.ensure(database)
        assert (migrate.current(database), migrate.differences(database)) == (HEAD, [])
        assert rows(database, both) == kept
        for table, names in both.items():
            order = sorted(newest[table])
            was = [tuple(row[order.index(name)] for name in sorted(names)) for row in before[table]]
            assert kept[table] == sorted(was, key=repr), (revision, table)


def killed(url: str, work: Callable[[Database], None], statement: int) -> bool:
    """Whether a process that was to be killed before its nth statement was; it may end before that."""
    child = os.fork()
    if child == 0:
        count = 0

        def count_down(*_arguments: Any) -> None:
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        database = Database(url)
        sa.event.listen(database.engine, "before_cursor_execute", count_down)
        work(database)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_killed_on_the_way_it_is_as_it_was(engine, database_url):
    """Before one statement in seven; of a server, which takes longer, before one in thirty."""
    database = engine.database
    newest = columns(database)
    migrate.downgrade(database, "0005")
    older = columns(database)
    before = rows(database, older)
    every = 7 if database.dialect == "sqlite" else 30
    statement = 1
    while killed(database_url, migrate.ensure, statement):
        assert (migrate.current(database), columns(database), rows(database, older)) == ("0005", older, before)
        statement += every
    assert statement > 20
    assert (migrate.current(database), columns(database), migrate.differences(database)) == (HEAD, newest, [])
    statement, up = 1, rows(database, newest)
    while killed(database_url, lambda one: migrate.downgrade(one, "0005"), statement):
        assert (migrate.current(database), columns(database), rows(database, newest)) == (HEAD, newest, up)
        statement += every
    assert (migrate.current(database), columns(database), rows(database, older)) == ("0005", older, before)


def test_the_command_tells_and_asks(workspace, capsys, monkeypatch):
    engine = workspace.open(upload={"task_size": 3, "job_size": 3})
    upload(engine, frames=workspace.draw("frames_sampled", range(1, 4)))
    engine_work(engine)
    export(engine)
    with pytest.raises(UsageError) as caught:
        db.downgrade(engine, "0009", dry_run=False, sure=lambda _question: True)
    assert caught.value.message == f"'0009' is no revision before {HEAD}, at which the lineage database is"
    asked: list[str] = []
    report = db.downgrade(engine, "0004", dry_run=False, sure=lambda question: bool(asked.append(question)))
    assert (report.title, migrate.current(engine.database)) == ("the lineage database stays as it is", HEAD)
    (question,) = asked
    assert question.startswith("back to revision 0004, the lineage database loses for good: acceptances.id (1), ")
    assert ", annotations.acceptance_id (" in question
    monkeypatch.chdir(workspace.root)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["db", "downgrade", "0004"]) == 2
    assert capsys.readouterr().err.endswith("nobody is there to be asked\nhint: add --yes\n")
    assert main(["db", "downgrade", "0004", "--dry-run"]) == 0
    assert migrate.current(engine.database) == HEAD
    assert main(["db", "downgrade", "0004", "--yes"]) == 0
    assert migrate.current(engine.database) == "0004"
    capsys.readouterr()
    # The next command goes up again, and says so.
    assert main(["dataset", "log"]) == 0
    assert f"is brought from revision 0004 to {HEAD}" in capsys.readouterr().err


def test_nothing_to_go_back_from(tmp_path, monkeypatch, workspace):
    engine = workspace.open()
    migrate.downgrade(engine.database, "base")
    with pytest.raises(MissingInputError, match="holds no lineage yet"):
        db.downgrade(engine, "0001", dry_run=True, sure=lambda _question: False)
