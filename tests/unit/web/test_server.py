"""Where the pages are served, by whom they are then reached, and what a request works with."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import anyio
import pytest
from fastapi import FastAPI
from served import ADDRESS, HTML, served

from data_engine import errors
from data_engine.annotation.accounts import Accounts
from data_engine.errors import ConflictError, MissingInputError, ServiceError, UsageError
from data_engine.web import server
from data_engine.web.attempts import FORGOTTEN_AFTER_S, FREE, Attempts
from data_engine.web.context import Here
from data_engine.web.headers import ALWAYS
from data_engine.web.pool import EnginePool
from data_engine.web.refusals import status_of


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.5.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("plant.example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host, only_here):
    assert server.is_loopback(host) is only_here


def test_other_machines_are_let_in_only_where_somebody_has_an_account(tmp_path):
    config = SimpleNamespace(loopback=False, accounts=tmp_path / "accounts.json")
    with pytest.raises(UsageError, match=r"--host 0\.0\.0\.0 lets other machines in") as refused:
        server.refuse_open_house(config, "0.0.0.0")
    assert "dataengine team add" in refused.value.hint
    Accounts(config.accounts).add("ada", "ada@example.com", "long enough", "admin")
    server.refuse_open_house(config, "0.0.0.0")


def test_so_it_is_when_the_last_account_goes_while_it_runs(tmp_path):
    with served(tmp_path / "w", host="0.0.0.0") as site:
        site.accounts.add("ada", "ada@example.com", "password of ada", "admin")
        client = site.client("ada")
        site.accounts.remove("ada")
        assert client.get("/").status_code == 401
        page = site.client().get("/signin", headers=HTML).text
        assert 'name="password"' in page
        assert 'name="role"' not in page
        answer = site.client().post("/signin", data={"name": "eve", "role": "admin"}, headers={"origin": ADDRESS})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_beyond_this_machine_it_goes_by_the_names_that_it_was_given(tmp_path):
    with served(tmp_path / "w", host="0.0.0.0", names=("labels.example.org",)) as site:
        client = site.client()
        assert client.get("/signin", headers={"host": "labels.example.org:8470"}).status_code == 200
        assert client.get("/signin", headers={"host": "127.0.0.1"}).status_code == 421


def test_on_this_machine_it_answers_to_the_address_that_it_says(tmp_path):
    with served(tmp_path / "w", host="127.0.0.2", names=("labels.example.org",)) as site:
        for name in ("127.0.0.2:8470", "127.0.0.1:8470", "labels.example.org"):
            assert site.client().get("/signin", headers={"host": name}).status_code == 200, name
        assert site.client().get("/signin", headers={"host": "evil.example.org"}).status_code == 421


def test_a_port_that_is_taken_and_an_address_that_is_another_s():
    with closing(server._listen("127.0.0.1", 0)) as taken:
        address = server.address_of(taken)
        assert address.startswith("http://127.0.0.1:")
        with pytest.raises(ConflictError, match="cannot be listened on: address already in use"):
            server._listen("127.0.0.1", taken.getsockname()[1])
    for host in ("192.0.2.1", "no such name", "host.invalid"):
        with pytest.raises(UsageError, match="is no address of this machine"):
            server._listen(host, 0)


def test_ipv6_addresses_are_written_as_browsers_take_them():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listening = server._listen("[::1]", 0)
    except UsageError:
        pytest.skip("no IPv6 loopback here")
    with closing(listening):
        assert server.address_of(listening, "https").startswith("https://[::1]:")


def test_a_certificate_goes_with_its_key(tmp_path):
    file = tmp_path / "cert.pem"
    file.touch()
    assert server._tls(None, None) == {}
    with pytest.raises(UsageError, match="goes with its key"):
        server._tls(str(file), None)
    with pytest.raises(MissingInputError, match=r"key\.pem is not there"):
        server._tls(str(file), str(tmp_path / "key.pem"))
    with pytest.raises(errors.DamagedInputError, match="certificate"):
        server._tls(str(file), str(file))


def test_without_the_browser_s_libraries_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "package.json").write_text('{"dataengine": {"vendor": {"one.js": "x", "two.js": "y"}}}')
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "one.js").touch()
    monkeypatch.setattr(server, "FOLDER", tmp_path)
    with pytest.raises(MissingInputError, match=r"lack what they load: two\.js") as missing:
        server.refuse_without_libraries()
    assert "pip install" in missing.value.hint


# --- what a request works with --------------------------------------------------------------------------------------


class Counted:
    """An engine that notices when it is two requests' at once."""

    open = 0

    def __init__(self) -> None:
        Counted.open += 1
        self.told: list[str] = []
        self.notes: list[str] = []
        self._held = threading.Lock()

    def work(self) -> None:
        assert self._held.acquire(blocking=False), "two requests work with one engine"
        time.sleep(0.002)
        self._held.release()

    def __exit__(self, *error: object) -> None:
        Counted.open -= 1


def test_no_two_requests_share_an_engine_and_no_more_are_opened_than_may_be():
    Counted.open = 0

    async def all_at_once() -> None:
        pool = EnginePool(Counted, most=3)  # type: ignore[arg-type]

        async def ask() -> None:
            async with pool.lend() as engine:
                await anyio.to_thread.run_sync(engine.work)

        async with anyio.create_task_group() as asking:
            for _ in range(60):
                asking.start_soon(ask)
        assert 1 <= Counted.open <= 3
        pool.close()
        assert Counted.open == 0

    anyio.run(all_at_once)


def test_an_engine_comes_back_from_a_request_that_failed():
    async def one_after_the_other() -> None:
        pool = EnginePool(Counted, most=1)  # type: ignore[arg-type]

        async def fail() -> None:
            async with pool.lend() as engine:
                engine.told.append("x")
                raise ValueError("oops")

        for _ in range(3):
            with pytest.raises(ValueError, match="oops"):
                await fail()
        async with pool.lend() as engine:
            assert engine.told == []

    anyio.run(one_after_the_other)


def test_an_engine_that_cannot_be_opened_blocks_nobody():
    def fail() -> None:
        raise ServiceError("the database does not answer")

    async def twice() -> None:
        pool = EnginePool(fail, most=1)  # type: ignore[arg-type]
        for _ in range(2):
            with pytest.raises(ServiceError, match="does not answer"):
                async with pool.lend():
                    pass

    anyio.run(twice)


# --- errors as answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.UsageError, (422, "usage")),
        (errors.UnknownPersonError, (422, "usage")),
        (errors.MissingInputError, (404, "missing")),
        (errors.DamagedInputError, (422, "damaged")),
        (errors.MissingDependencyError, (501, "dependency")),
        (errors.ServiceError, (502, "service")),
        (errors.ConflictError, (409, "conflict")),
        (errors.PartialFailureError, (500, "partial")),
        (errors.StorageFullError, (507, "full")),
        (errors.DataEngineError, (500, "failed")),
    ],
)
def test_every_expected_error_has_its_status(kind, status):
    assert status_of(kind("x")) == status


@pytest.fixture
def failing(tmp_path):
    """A site with routes that fail."""
    with served(tmp_path / "w") as site:
        app: FastAPI = site.app
        raised: list[Exception] = []

        def fail(here: Here) -> None:
            assert here.engine is not None
            raise raised[0]

        app.add_api_route("/fail", fail)
        app.router.routes.insert(0, app.router.routes.pop())
        yield site, raised


def test_an_expected_error_is_a_page_for_people_and_json_for_programs(failing):
    site, raised = failing
    raised.append(ConflictError("<b>somebody</b> was faster", hint="look again"))
    client = site.client("anna")
    answer = client.get("/fail")
    assert (answer.status_code, answer.json()) == (
        409,
        {"error": "conflict", "message": "<b>somebody</b> was faster", "hint": "look again"},
    )
    page = client.get("/fail", headers=HTML)
    assert page.status_code == 409
    assert "&lt;b&gt;somebody&lt;/b&gt; was faster" in page.text
    assert "look again" in page.text


def test_a_bug_tells_strangers_nothing_and_the_log_everything(failing, caplog):
    site, raised = failing
    raised.append(RuntimeError("the secret detail"))
    client = site.client("anna")
    for headers in ({}, HTML):
        answer = client.get("/fail", headers=headers)
        assert answer.status_code == 500
        assert "secret detail" not in answer.text
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "the secret detail" in caplog.text


def test_who_guesses_waits_longer_every_time_and_is_forgotten_in_time():
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    waits = []
    for _ in range(FREE + 12):
        waits.append(attempts.wait_s("10.0.0.1", "Anna"))
        attempts.failed("10.0.0.1", "anna")
    assert waits[:FREE] == [0.0] * FREE
    assert waits[FREE:] == sorted(waits[FREE:])
    assert waits[-1] == 300.0
    assert attempts.wait_s("10.0.0.2", "anna") == 0.0, "her own machine is not locked out"
    assert attempts.wait_s("10.0.0.1", "ben") == 0.0
    now[0] = FORGOTTEN_AFTER_S + 1
    assert attempts.wait_s("10.0.0.1", "anna") == 0.0
