"""Every route of the pages, those of tomorrow too: who may ask what, and what every answer says to the browser."""

from __future__ import annotations

import pkgutil
import sqlite3
from pathlib import Path

import pytest
from served import ADDRESS, HTML, PASSWORD, Served, address_of, csrf_of, role_of, routes, served

import data_engine.web
from data_engine.web.guard import SAFE, is_open
from data_engine.web.headers import ALWAYS
from data_engine.web.people import ROLES
from data_engine.web.server import MODULES

ASKED = [(method, route) for route in routes() for method in sorted(route.methods or ())]
IDS = [f"{method} {route.path}" for method, route in ASKED]
CHANGES = [(method, route) for method, route in ASKED if method not in SAFE]
FOR_ROLES = [(method, route) for method, route in ASKED if role_of(route)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("served") / "Halle 3 ä") as made:
        yield made


@pytest.fixture(scope="module")
def clients(site):
    """A browser of each role, and one that is nobody's."""
    return {None: site.client()} | {role: site.client(role, role) for role in ROLES}


def rows(site: Served) -> dict[str, int]:
    with sqlite3.connect(site.root / ".dataengine/lineage.db") as database:
        names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        return {name: database.execute(f'select count(*) from "{name}"').fetchone()[0] for name in names}


def test_every_module_with_routes_is_served():
    folder = Path(data_engine.web.__file__).parent
    modules = [module.name for module in pkgutil.iter_modules([str(folder)])]
    with_routes = [name for name in modules if "\nrouter = APIRouter(" in (folder / f"{name}.py").read_text("utf-8")]
    assert sorted(with_routes) == sorted(module.__name__.rpartition(".")[2] for module in MODULES)


def test_only_signing_in_is_open():
    assert {route.path for route in routes() if is_open(route.endpoint)} == {"/signin"}


@pytest.mark.parametrize(("method", "route"), ASKED, ids=IDS)
def test_nobody_passes_unknown(clients, method, route):
    if is_open(route.endpoint):
        return
    client = clients[None]
    answer = client.request(method, address_of(route), headers={"origin": ADDRESS})
    assert (answer.status_code, answer.json()["error"]) == (401, "signed-out")
    page = client.request(method, address_of(route), headers=HTML | {"origin": ADDRESS})
    assert page.status_code == 303
    assert page.headers["location"].startswith("/signin")


@pytest.mark.parametrize(("method", "route"), FOR_ROLES, ids=[f"{m} {r.path}" for m, r in FOR_ROLES])
def test_a_role_below_is_refused(clients, method, route):
    below = ROLES[: ROLES.index(role_of(route))]
    assert below
    for role in below:
        client = clients[role]
        headers = {"origin": ADDRESS, "x-csrf-token": csrf_of(client)}
        answer = client.request(method, address_of(route), headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden"), role


def test_what_reviewers_decide_is_not_an_annotator_s(site):
    """The routes themselves say whom they are for; that they say it is not left to them."""
    assert [route.path for _method, route in ASKED if route.path.startswith("/review") and not role_of(route)] == []


@pytest.mark.parametrize(("method", "route"), CHANGES, ids=[f"{m} {r.path}" for m, r in CHANGES])
def test_nothing_is_changed_without_the_session_s_token(site, clients, method, route):
    if is_open(route.endpoint):
        return
    client, address = clients["admin"], address_of(route)
    before = rows(site)
    own = {"origin": ADDRESS}
    other = csrf_of(clients["reviewer"])
    refused = [
        client.request(method, address, headers=own),
        client.request(method, address, headers=own | {"x-csrf-token": "x"}),
        client.request(method, address, headers=own | {"x-csrf-token": other}),
        client.request(method, address, headers={"origin": "http://evil.example", "x-csrf-token": csrf_of(client)}),
        client.request(method, address, headers={"origin": "null", "x-csrf-token": csrf_of(client)}),
        client.request(method, address, headers={"sec-fetch-site": "cross-site", "x-csrf-token": csrf_of(client)}),
        client.request(method, address, headers={"x-csrf-token": csrf_of(client)}),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in refused] == [(403, "csrf")] * len(refused)
    assert rows(site) == before
    if method == "POST":
        form = client.post(address, data={"csrf": other}, headers=own)
        assert (form.status_code, form.json()["error"]) == (403, "csrf")


def test_the_right_token_passes_as_a_header_and_as_a_field(site):
    for more in ({"headers": {"x-csrf-token": ""}}, {"data": {"csrf": ""}}):
        client = site.client("ada", "admin")
        token = csrf_of(client)
        ((where, fields),) = more.items()
        given = {where: dict.fromkeys(fields, token)}
        headers = {"origin": ADDRESS} | given.pop("headers", {})
        answer = client.post("/signout", headers=headers, **given)
        assert (answer.status_code, answer.headers["location"]) == (303, "/signin")
        assert client.get("/no-such-page").status_code == 401
        assert client.get("/", headers=HTML).headers["location"] == "/signin"


def test_another_site_signs_nobody_in(site):
    for headers in ({}, {"origin": "http://evil.example"}, {"sec-fetch-site": "same-site"}):
        answer = site.client().post("/signin", data={"name": "eve"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (403, "csrf")
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("method", "route"), ASKED, ids=IDS)
def test_every_answer_says_what_the_browser_may_do(clients, method, route):
    for client in (clients[None], clients["annotator"], clients["admin"]):
        for headers in ({}, HTML, HTML | {"origin": ADDRESS, "x-csrf-token": "x"}):
            answer = client.request(method, address_of(route), headers=headers)
            assert answer.status_code < 500, answer.text
            assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
            assert "cache-control" in answer.headers
            if "html" in answer.headers.get("content-type", ""):
                assert answer.headers["cache-control"] == "no-store"
                assert " style=" not in answer.text
                assert "<style" not in answer.text
                assert " onclick=" not in answer.text


@pytest.mark.parametrize(
    "path", ["/no-such-page", "/static/style.css", "/static/none", "/vendor/none", "/static/", "/signin"]
)
def test_so_do_answers_of_no_route(site, path):
    answer = site.client().get(path)
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS


TRAVERSALS = [
    "..%2f..%2fdataengine.toml",
    "%2e%2e/%2e%2e/dataengine.toml",
    "..%5c..%5cdataengine.toml",
    "%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "%00",
    "..%c0%af..%c0%afetc%c0%afpasswd",
    ".dataengine%2faccounts.json",
    "@mnt-00000000%2fpasswd",
]


@pytest.mark.parametrize("number", ["9" * 19, "9" * 30, "-1"])
def test_no_number_is_too_large(site, number):
    client = site.client("ada", "admin")
    with_parameters = [route for method, route in ASKED if method == "GET" and "{" in route.path]
    for address in ["/review?task={}", "/jobs?after={}", *(route.path for route in with_parameters)]:
        asked = address_of(type("Route", (), {"path": address}), number)
        assert client.get(asked).status_code < 500, asked


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_of_a_request_opens_a_file(site, path):
    client = site.client("ada", "admin")
    with_parameters = [route for method, route in ASKED if method == "GET" and "{" in route.path]
    for address in ["/static/{}", "/vendor/{}", *(route.path for route in with_parameters)]:
        asked = address_of(type("Route", (), {"path": address}), path)
        answer = client.get(asked)
        assert 400 <= answer.status_code < 500, f"{asked}: {answer.status_code}"
        assert b"root:" not in answer.content
        assert b"[workspace]" not in answer.content


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8470", "127.0.0.1.evil.example", "", "localhost@evil"])
def test_this_machine_does_not_answer_to_another_name(site, name):
    answer = site.client("anna").get("/signin", headers={"host": name})
    assert answer.status_code == 421
    assert "anna" not in answer.text


@pytest.mark.parametrize("name", ["127.0.0.1:8470", "localhost", "LOCALHOST:1", "[::1]:8470"])
def test_it_answers_to_its_own(site, name):
    assert site.client().get("/signin", headers={"host": name}).status_code == 200


def test_a_body_that_is_too_large_is_refused_also_when_it_does_not_say_so(site):
    client = site.client("ada", "admin")
    headers = {"origin": ADDRESS, "content-type": "application/x-www-form-urlencoded"}

    def dripping():
        for _ in range(20):
            yield b"x" * (1 << 20)

    assert client.post("/signout", content=b"x" * (17 << 20), headers=headers).status_code == 413
    answer = client.post("/signout", content=dripping(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "too-large")
    assert client.post("/signout", content=b"", headers=headers | {"content-length": "-5"}).status_code == 413


def test_a_token_asks_in_its_owner_s_name_and_needs_no_other(tmp_path):
    with served(tmp_path / "w") as site:
        site.accounts.add("rita", "rita@example.com", PASSWORD.format("rita"), "reviewer")
        _account, token = site.accounts.new_token("rita")
        asking = {"authorization": f"Bearer {token}"}
        assert site.client().post("/signout", headers=asking).status_code == 303
        assert site.client().get("/no-such-page", headers=asking).status_code == 404
        assert site.client().post("/signout", headers={"authorization": f"Bearer {token}x"}).status_code == 401
        site.accounts.without_tokens("rita")
        assert site.client().post("/signout", headers=asking).status_code == 401
