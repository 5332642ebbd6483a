"""Signing in, staying signed in, and no longer being it."""

from __future__ import annotations

import re
import stat
from datetime import timedelta

import pytest
from served import ADDRESS, HTML, PASSWORD, csrf_of, served

from data_engine.web.attempts import FREE
from data_engine.web.session import FILE, Sessions
from data_engine.web.signin import inside

OWN = {"origin": ADDRESS}


@pytest.fixture
def site(tmp_path):
    """With accounts."""
    with served(tmp_path / "plant") as made:
        for name, role in (("anna", "annotator"), ("ada", "admin")):
            made.accounts.add(name, f"{name}@example.com", PASSWORD.format(name), role)
        yield made


@pytest.fixture
def open_site(tmp_path):
    """Without accounts."""
    with served(tmp_path / "plant") as made:
        yield made


def is_in(client) -> bool:
    return client.post("/signout", headers=OWN).status_code != 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site):
    answer = site.client().post("/signin", data={"name": "anna", "password": PASSWORD.format("anna")}, headers=OWN)
    told = answer.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=strict" in told
    assert "secure" not in told
    assert "expires" not in told
    secure = site.client().post(
        "https://127.0.0.1/signin",
        data={"name": "anna", "password": PASSWORD.format("anna")},
        headers={"origin": "https://127.0.0.1"},
    )
    assert "secure" in secure.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "wrong"), ("nobody", PASSWORD.format("anna")), ("anna", ""), ("", "")]
)
def test_a_wrong_password_and_an_unknown_name_look_the_same(site, name, password):
    answer = site.client().post("/signin", data={"name": name, "password": password}, headers=OWN)
    assert answer.status_code == 403
    assert "the name or the password is wrong" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_name_goes_in_any_case_and_as_an_e_mail(site):
    for name in ("ANNA", "anna@example.com"):
        answer = site.client().post("/signin", data={"name": name, "password": PASSWORD.format("anna")}, headers=OWN)
        assert answer.status_code == 303


def test_with_accounts_nobody_chooses_a_role(site):
    client = site.client("anna", role="admin")
    assert "anna <small>annotator" in client.get("/no-such-page", headers=HTML).text


def test_guessing_gets_slow_also_with_the_right_password(site):
    client = site.client()
    for _ in range(FREE):
        client.post("/signin", data={"name": "anna", "password": "wrong"}, headers=OWN)
    answer = client.post("/signin", data={"name": "anna", "password": PASSWORD.format("anna")}, headers=OWN)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "wait" in answer.text
    # Somebody else's mistakes are not ada's.
    assert (
        client.post("/signin", data={"name": "ada", "password": PASSWORD.format("ada")}, headers=OWN).status_code == 303
    )


def test_a_session_ends_when_nobody_clicks(site):
    client = site.client("anna")
    for _ in range(5):
        site.clock.pass_(hours=11)
        assert is_in(client)
    site.clock.pass_(hours=12, seconds=1)
    assert not is_in(client)
    back = client.get("/?x=1&y=ä", headers=HTML)
    assert back.headers["location"] == "/signin?next=/%3Fx%3D1%26y%3D%25C3%25A4"


def test_who_signs_in_comes_back_to_where_they_were(open_site):
    client = open_site.client()
    page = client.get("/signin?next=/%3Fx%3D1", headers=HTML).text
    assert 'name="next" value="/?x=1"' in page
    answer = client.post("/signin", data={"name": "anna", "next": "/?x=1"}, headers=OWN)
    assert answer.headers["location"] == "/?x=1"


@pytest.mark.parametrize(
    "address",
    ["http://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/signin", "/a\nb"],
)
def test_nobody_is_sent_elsewhere(address):
    assert inside(address) == "/"


def test_signing_out_ends_the_session_on_the_server(site):
    client = site.client("anna")
    kept = dict(client.cookies)
    client.post("/signout", headers=OWN | {"x-csrf-token": csrf_of(client)})
    client.cookies.update(kept)
    assert not is_in(client)


def test_signing_in_again_ends_the_session_before(site):
    client = site.client("anna")
    old = dict(client.cookies)
    client.post("/signin", data={"name": "ada", "password": PASSWORD.format("ada")}, headers=OWN)
    thief = site.client()
    thief.cookies.update(old)
    assert not is_in(thief)
    assert is_in(client)


def test_a_new_password_a_new_role_and_a_removal_count_at_once(site):
    changed, promoted, removed = site.client("anna"), site.client("ada"), site.client("ada")
    site.accounts.set_password("anna", "another password")
    assert not is_in(changed)
    assert is_in(promoted)
    site.accounts.remove("ada")
    assert not is_in(removed)
    site.accounts.add("ada", "ada@example.com", PASSWORD.format("ada"), "annotator")
    assert not is_in(removed), "an account of the same name is somebody else's"


def test_the_first_account_ends_what_was_begun_without_one(open_site):
    client = open_site.client("anna", "admin")
    assert is_in(client)
    open_site.accounts.add("anna", "anna@example.com", PASSWORD.format("anna"), "annotator")
    assert not is_in(client)


def test_who_works_is_still_known_after_a_restart(tmp_path):
    with served(tmp_path / "plant") as site:
        client = site.client("anna")
        cookies = dict(client.cookies)
    with served(tmp_path / "plant", restart=True) as site:
        client = site.client()
        client.cookies.update(cookies)
        assert is_in(client)


def test_the_files_are_their_owner_s_and_hold_no_secret(site):
    client = site.client("anna")
    (token,) = client.cookies.values()
    for name in (FILE, ".dataengine/accounts.json"):
        file = site.root / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert token not in file.read_text("utf-8")
        assert PASSWORD.format("anna") not in file.read_text("utf-8")


def test_two_servers_of_one_workspace_know_who_is_in_and_who_is_out(tmp_path):
    with served(tmp_path / "plant") as one, served(tmp_path / "plant", restart=True) as two:
        there = one.client("anna")
        here = two.client()
        here.cookies.update(dict(there.cookies))
        assert is_in(here)
        ben = two.client("ben")
        assert is_in(there)
        token = re.search(r'name="csrf-token" content="([^"]+)"', there.get("/", headers=HTML).text)[1]
        assert there.post("/signout", data={"csrf": token}, headers=OWN).status_code == 303
        assert not is_in(here)
        assert is_in(ben)
        # Nor does what the other one writes later bring it back.
        two.client("carl")
        assert not is_in(there)


def test_a_damaged_file_of_sessions_only_means_signing_in_again(tmp_path):
    clock_hours = {"hours": 1.0, "clock": lambda: __import__("datetime").datetime(2026, 1, 1)}
    file = tmp_path / "sessions.json"
    for data in (b"", b"{", b'{"x": 1}', b"\xff"):
        file.write_bytes(data)
        sessions = Sessions(file, **clock_hours)
        token, _session = sessions.begin("anna", "annotator")
        assert sessions.of(token) is not None
        assert sessions.of(token + "x") is None


def test_a_name_with_markup_in_it_is_text(open_site):
    client = open_site.client("<script>alert(1)</script>\"'><b>")
    page = client.get("/no-such-page", headers=HTML).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("name", ["", "   ", "a\x00b", "a\nb", "x" * 65])
def test_a_name_that_is_none(open_site, name):
    answer = open_site.client().post("/signin", data={"name": name}, headers=OWN)
    assert answer.status_code == 422
    assert re.search("a name has 1 to 64 letters", answer.text)


def test_a_role_that_is_none(open_site):
    answer = open_site.client().post("/signin", data={"name": "x", "role": "king"}, headers=OWN)
    assert (answer.status_code, answer.json()["error"]) == (422, "usage")


def test_the_hours_are_a_setting(tmp_path):
    with served(tmp_path / "plant", session_hours=0.5) as site:
        client = site.client("anna")
        site.clock.pass_(seconds=timedelta(minutes=29).total_seconds())
        assert is_in(client)
        site.clock.pass_(minutes=31)
        assert not is_in(client)


def test_where_the_sessions_cannot_be_kept_people_still_work(open_site, monkeypatch):
    def refuse(*_arguments):
        raise OSError("no space")

    monkeypatch.setattr("data_engine.web.session.write_private", refuse)
    client = open_site.client("anna")
    assert is_in(client)


def test_what_a_page_asks_for_by_itself_does_not_keep_its_session(site):
    client = site.client("anna")
    for _ in range(3):
        site.clock.pass_(hours=4)
        assert client.get("/no-such-page", headers={"sec-fetch-mode": "cors"}).status_code == 404
    site.clock.pass_(seconds=1)
    assert client.get("/no-such-page", headers={"sec-fetch-mode": "cors"}).status_code == 401


def test_a_part_of_a_page_sends_the_whole_page_to_sign_in(site):
    asking = HTML | {"hx-request": "true", "hx-current-url": f"{ADDRESS}/frames?camera=x"}
    answer = site.client().get("/wheel/now", headers=asking)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/signin?next=/frames%3Fcamera%3Dx"


def test_a_form_of_a_signed_out_page_leads_back_to_that_page(site):
    sent = HTML | OWN | {"referer": f"{ADDRESS}/jobs", "host": "127.0.0.1"}
    answer = site.client().post("/signout", headers=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=/jobs")
    elsewhere = site.client().post("/signout", headers=sent | {"referer": "http://evil.example/x"})
    assert elsewhere.headers["location"] == "/signin"
