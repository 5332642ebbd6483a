"""``doctor`` where people are on a CVAT server: a line for each thing, whatever is wrong with the others."""

from __future__ import annotations

import base64
import json
import os
import shlex
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("cvat_sdk")
from cvat_server import ADMIN, CvatServer
from cvat_team import PASSWORD, PROJECT, Team

pytestmark = pytest.mark.required

README = Path(__file__).parents[2] / "README.md"
MINE = ("CVAT", "cvat-sdk", "web-hook")


def seen(team: Team) -> dict[str, tuple[str, str]]:
    """What ``doctor`` says of the server; it ends with 8 where anything is bad, and holds no secret."""
    report = team.run("doctor", code=None)
    rows: list[dict[str, Any]] = report["rows"]
    assert {row["check"] for row in rows} >= {"python", "disk", "lineage", "workspace", "classes"}
    states = [row["state"] for row in rows]
    assert (report["bad"], report["warn"], report["absent"]) == tuple(map(states.count, ("bad", "warn", "absent")))
    assert len(report["failures"]) == report["bad"]
    assert "Traceback" not in team.err
    for name in ("TOKEN", "PASSWORD", "WEBHOOK_SECRET"):
        secret = os.environ.get(f"DATAENGINE_CVAT_{name}")
        assert not secret or secret not in str(report) + team.err
    return {row["check"]: (row["state"], row["detail"]) for row in rows if row["check"].startswith(MINE)}


def token(team: Team, *, read_only: bool) -> str:
    return str(team.ask("POST", "/api/auth/access_tokens", {"name": "t", "read_only": read_only})["value"])


def test_a_server_on_which_nothing_was_made_yet(team: Team) -> None:
    told = seen(team)
    assert told["cvat-sdk"][0] == "ok"
    assert told["CVAT"] == ("ok", f"2.73.0 at {team.server.url}")
    assert told["CVAT account"] == ("ok", f"{ADMIN[0]} by password")
    assert told["CVAT people"] == ("ok", "1 account may be given jobs")
    assert told["CVAT project"] == ("absent", f"{PROJECT!r} is not there yet; the first dataengine upload makes it")
    assert "CVAT labels" not in told
    assert "web-hook" not in told
    assert team.server.state.projects == {}


def test_labels_and_classes_go_apart(team: Team) -> None:
    team.upload()
    assert seen(team)["CVAT labels"] == ("ok", "in step with the 2 classes")
    (project,) = team.server.state.projects
    assert seen(team)["CVAT project"] == ("ok", f"{PROJECT!r} is project {project}")
    team.ask("PATCH", f"/api/projects/{project}", {"labels": [{"name": "bike"}]})
    state, detail = seen(team)["CVAT labels"]
    assert (state, detail.split(";")[0]) == ("warn", "no class is called bike")
    team.relabel("helmet", name="hard hat")
    state, detail = seen(team)["CVAT labels"]
    assert (state, detail.split(";")[0]) == ("bad", "no longer there: helmet")


def test_a_project_that_lacks_a_new_class_or_has_it_for_other_shapes(team: Team) -> None:
    project = team.ask("POST", "/api/projects", {"name": PROJECT, "labels": [{"name": "person"}]})["id"]
    told = "not there yet: helmet; the next dataengine upload adds them"
    assert seen(team)["CVAT labels"] == ("absent", told)
    team.ask("PATCH", f"/api/projects/{project}", {"labels": [{"name": "helmet", "type": "polygon"}]})
    assert seen(team)["CVAT labels"][1].startswith("helmet is for a polygon; make it a rectangle")
    team.ask("POST", "/api/projects", {"name": PROJECT, "labels": []})
    state, detail = seen(team)["CVAT project"]
    assert (state, "has several projects named" in detail) == ("bad", True)
    team.set(project="77")
    assert seen(team)["CVAT project"] == (
        "bad",
        f"the CVAT server {team.server.url[7:]} has no project 77; see [cvat] project",
    )


def test_tokens_and_what_they_may(team: Team) -> None:
    team.set(username=None, password=None, token=token(team, read_only=False))
    told = seen(team)
    assert (told["CVAT account"], told["CVAT token"]) == (("ok", f"{ADMIN[0]} by access token"), ("ok", "may write"))
    team.set(token=token(team, read_only=True))
    told = seen(team)
    assert told["CVAT token"][0] == "bad"
    assert "is read-only; make an access token that is not read-only" in told["CVAT token"][1]
    # What only reads can be seen all the same.
    assert (told["CVAT account"][0], told["CVAT people"][0], told["CVAT project"][0]) == ("ok", "ok", "absent")
    team.set(token="guessed-it-wrong")
    told = seen(team)
    assert "does not accept the access token" in told["CVAT account"][1]
    assert told["CVAT"][0] == "ok"
    assert "CVAT people" not in told


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"username": None, "password": None}, "nothing to log in with at the CVAT server"),
        ({"password": None}, "nothing to log in with at the CVAT server"),
        ({"password": "guessed-it-wrong"}, "does not know admin with this password"),
        ({"organization": "nowhere"}, "has no organization 'nowhere'; see [cvat] organization"),
    ],
)
def test_an_account_that_is_not_let_in_hides_nothing_else(team: Team, settings: dict[str, Any], said: str) -> None:
    team.set(**settings)
    told = seen(team)
    assert told["CVAT"] == ("ok", f"2.73.0 at {team.server.url}")
    assert told["CVAT account"][0] == "bad"
    assert said in told["CVAT account"][1]
    assert list(told) == ["cvat-sdk", "CVAT", "CVAT account"]


def test_an_account_that_may_not_list_people(team: Team) -> None:
    team.server.state.add_user("annabel", PASSWORD, email="annabel@example.org")
    assert seen(team)["CVAT people"] == ("ok", "2 accounts may be given jobs")
    team.set(username="annabel", password=PASSWORD)
    state, detail = seen(team)["CVAT people"]
    assert (state, "may not list the people" in detail) == ("absent", True)


def test_addresses_that_lead_to_no_server(team: Team) -> None:
    team.set(url="http://host.invalid:8080")
    assert seen(team)["CVAT"] == (
        "bad",
        "the CVAT server host.invalid:8080 is not found: there is no such host; see [cvat] url",
    )
    team.set(url=None)
    assert seen(team)["CVAT"] == ("bad", "no address; [cvat] url in dataengine.toml")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        team.set(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        state, detail = seen(team)["CVAT"]
        assert (state, "does not answer" in detail) == ("bad", True)
    team.set(url=f"{team.server.url}/elsewhere")
    assert "there is no CVAT server at" in seen(team)["CVAT"][1]


def test_releases_that_were_never_tried_are_told_to_people_and_programs(new_team: Callable[[CvatServer], Team]) -> None:
    with CvatServer(seed=1, version="2.99.1") as server:
        team = new_team(server)
        state, detail = seen(team)["CVAT"]
        assert state == "warn"
        assert detail.startswith(f"2.99.1 at {server.url}: never tried; look twice")
        report = team.upload()
        remark = "dataengine was not tried with CVAT 2.99.1 (tried: 2.73): look twice at what it does"
        assert report["notes"] == [remark]
        assert team.err.count(remark) == 1
        team.run("status", "--quiet")
        assert team.err == ""


def test_the_secret_of_the_web_hook(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    team.set(webhook_secret="short")
    state, detail = seen(team)["web-hook"]
    assert state == "bad"
    assert detail.startswith("DATAENGINE_CVAT_WEBHOOK_SECRET has 5 characters: it must have at least 16")
    team.set(webhook_secret="0123456789abcdef")
    assert seen(team)["web-hook"] == ("ok", "a secret is set")


def test_it_asks_a_few_things_and_changes_nothing(team: Team) -> None:
    team.upload()
    before, asked = team.held(), len(team.server.log)
    seen(team)
    made = list(team.server.log)[asked:]
    assert len(made) <= 8
    changing = [row["path"] for row in made if row["method"] != "GET"]
    assert changing == ["/api/auth/login"]
    assert team.held() == before


def test_the_readme_s_token(team: Team) -> None:
    """What its curl command sends, by name and password, is answered with a token that may write."""
    (line,) = [line for line in README.read_text("utf-8").splitlines() if line.startswith("curl -u admin ")]
    words = shlex.split(line)
    body, url = words[words.index("-d") + 1], words[-1].replace("http://localhost:8080", team.server.url)
    for password, status in (("guessed-it-wrong", 401), (ADMIN[1], 201)):
        known = base64.b64encode(f"{ADMIN[0]}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {known}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, body.encode(), headers)
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            assert answer.status == status
            told = json.load(answer)
        assert ("value" in told) == (status == 201)
    team.set(username=None, password=None, token=told["value"])
    assert seen(team)["CVAT token"] == ("ok", "may write")


def test_without_records_and_outside_a_workspace(team: Team, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {row["check"]: row["state"] for row in team.run("doctor", code=0)["rows"]}
    assert (rows["lineage"], rows["workspace"], rows["CVAT project"]) == ("absent", "absent", "absent")
    assert not (tmp_path / ".dataengine").exists()
