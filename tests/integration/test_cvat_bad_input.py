"""Accounts, addresses and certificates that are wrong, by the command line: one line that says what to do, no trace."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytest.importorskip("cvat_sdk")
from cvat_server import ADMIN
from cvat_team import PASSWORD, UPLOAD, WHOLE, Team

pytestmark = pytest.mark.required


# --- who is not let in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"password": "guessed-it-wrong"}, "does not know admin with this password: Unable to log in"),
        ({"token": "guessed-it-wrong"}, "does not accept the access token (wrong, expired or revoked) | make an"),
        ({"organization": "nowhere"}, "has no organization 'nowhere' | see [cvat] organization"),
        ({"project": "77"}, "has no project 77 | see [cvat] project"),
    ],
)
def test_an_account_that_is_not_let_in(team: Team, settings: dict[str, str], said: str) -> None:
    before = {name: os.environ.get(f"DATAENGINE_CVAT_{name.upper()}") for name in settings}
    team.set(**settings)
    assert said in team.refused("upload", *UPLOAD, code=2)
    assert "guessed" not in team.err
    assert team.tasks() == []
    team.set(**before)
    # What was not made is not planned either: the command is typed again with other options, and they count.
    made = team.upload("--task-size", "2")
    assert (made["tasks"], made["proposed_boxes"], made["notes"]) == (2, 8, [])
    assert team.held() == WHOLE


def test_a_token_that_may_only_read(team: Team) -> None:
    token, full = (
        team.ask("POST", "/api/auth/access_tokens", {"name": "t", "read_only": only})["value"] for only in (True, False)
    )
    team.set(token=token, username=None, password=None)
    said = team.refused("upload", *UPLOAD, code=2)
    assert "is read-only | make an access token that is not read-only" in said
    assert token not in said
    assert team.tasks() == []
    team.set(token=full)
    assert team.upload()["notes"] == []
    assert team.held() == WHOLE
    team.set(token=token)
    assert "its token may be read-only" in team.refused("review", "assign", "1", "--to", ADMIN[0], code=2)
    team.accept()
    # What only reads goes with it.
    assert team.run("review", "list")["jobs"] == 2
    assert team.run("export")["boxes"] == 8
    team.server.state.tokens.clear()
    assert "does not accept the access token" in team.refused("export", code=2)


def test_people_who_are_not_there(team: Team) -> None:
    for name in ("anna", "annabel"):
        team.server.state.add_user(name, PASSWORD, email=f"{name}@example.org")
    assert "nobody on the annotation server is called 'ana' | did you mean anna" in team.refused(
        "upload", *UPLOAD, "--assignee", "ana", code=2
    )
    assert team.tasks() == []
    team.upload("--assignee", "ANNABEL@Example.ORG,Anna")
    assert {job.assignee for job in team.server.state.jobs.values()} == {
        team.server.state.user_named(name).id for name in ("anna", "annabel")
    }
    assert "is called 'zorro'" in team.refused("sync", "--reviewer", "zorro", code=2)
    team.set(username="anna", password=PASSWORD)
    for words in (("team", "list"), ("upload", *UPLOAD, "--assignee", "annabel")):
        assert "may not list the people of the CVAT server" in team.refused(*words, code=2)
    assert "does not let the account anna do that" in team.refused("export", code=2)


def test_members_of_an_organization(team: Team) -> None:
    """In a space of one's own CVAT lists those who are in no organization: a colleague would be called by nobody."""
    state = team.server.state
    for name in ("anna", "carl"):
        state.add_user(name, PASSWORD, email=f"{name}@example.org")
    team.ask("POST", "/api/organizations", {"slug": "yard"})
    team.ask("POST", "/api/invitations?org=yard", {"email": "anna@example.org", "role": "worker"})
    people = {row["name"] for row in team.run("team", "list")["rows"]}
    assert people == {ADMIN[0], "anna", "carl"}
    team.set(organization="yard")
    assert {row["name"] for row in team.run("team", "list")["rows"]} == {ADMIN[0], "anna"}
    assert "is called 'carl'" in team.refused("upload", *UPLOAD, "--assignee", "carl", code=2)
    team.upload("--assignee", "anna")
    assert {job.assignee for job in state.jobs.values()} == {state.user_named("anna").id}
    # It lies in the organization, and is not seen from outside of it.
    team.set(organization="")
    assert "no task was uploaded to cvat:" in team.refused("export", code=3)


# --- no server, or another --------------------------------------------------------------------------------------------


class Other(BaseHTTPRequestHandler):
    """A server that is no CVAT: gives everybody the answer of its server."""

    def do_GET(self) -> None:
        status, headers, body = self.server.reply  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


class Others:
    """Starts servers that are no CVAT; stops them all."""

    def __init__(self) -> None:
        self._running: list[ThreadingHTTPServer] = []

    def start(self, status: int, headers: dict[str, str], body: bytes, files: Sequence[Path] = ()) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
        server.reply = (status, headers, body)  # type: ignore[attr-defined]
        if files:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*files)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self._running.append(server)
        return f"{'https' if files else 'http'}://127.0.0.1:{server.server_address[1]}"

    def stop(self) -> None:
        for server in self._running:
            server.shutdown()
            server.server_close()


@pytest.fixture
def others() -> Iterator[Others]:
    running = Others()
    yield running
    running.stop()


PAGE = b"<html><head><title>Guest network: please log in</title></head></html>"
HTML = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        ((200, HTML, PAGE), 2, "there is no CVAT server at"),
        ((200, {}, b'{"version": 3}'), 2, "there is no CVAT server at"),
        ((404, HTML, PAGE), 2, "it answers Guest network: please log in (HTTP 404) | see [cvat] url"),
        ((401, HTML, PAGE), 2, "it answers Guest network: please log in (HTTP 401) | see [cvat] url"),
        ((403, HTML, PAGE), 2, "it answers Guest network: please log in (HTTP 403) | see [cvat] url"),
        ((301, {"Location": "https://cvat.example.org/?a=secret"}, b""), 2, "sends on to https://cvat.example.org/ |"),
        ((502, HTML, PAGE), 6, "answers 502 | run the same command again"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else None,
)
def test_a_server_that_is_no_cvat(
    team: Team, others: Others, reply: tuple[int, dict[str, str], bytes], code: int, said: str
) -> None:
    team.set(url=others.start(*reply), patience="0.3")
    assert said in team.refused("upload", *UPLOAD, code=code)
    team.set(url=team.server.url, patience="3")
    made = team.upload()
    assert (made["tasks"], made["frames"], made["notes"]) == (1, 4, [])
    assert team.held() == WHOLE


def test_the_same_server_by_another_address(team: Team) -> None:
    team.upload()
    place = urlsplit(team.server.url).netloc
    team.set(url=f"http://localhost:{urlsplit(team.server.url).port}")
    said = team.refused("upload", *UPLOAD[:-1], "1", code=7)
    assert "it is the same server, by another address" in said
    assert f'[cvat] known_as = "{place}"' in said
    assert "tasks are recorded for cvat:" in team.refused("export", code=3)
    team.set(known_as=place)
    assert team.upload()["frames_in_tasks_already"] == WHOLE[0]
    assert team.held() == WHOLE


def test_a_workspace_that_was_annotated_elsewhere_before(team: Team) -> None:
    """The same frames and proposals in tasks of two backends: both are whole."""
    team.patch.setenv("DATAENGINE_ANNOTATION_BACKEND", "local")
    assert team.upload()["proposed_boxes"] == 8
    team.patch.setenv("DATAENGINE_ANNOTATION_BACKEND", "cvat")
    made = team.upload()
    assert (made["tasks"], made["proposed_boxes"]) == (1, 8)
    assert team.held() == WHOLE
    assert team.upload()["tasks"] == 0
    team.accept()
    exported = team.run("export")
    assert (exported["boxes"], exported["proposals_kept"]) == (8, 8)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Certificates with their keys."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("tls")

    def made(name: str, subject: str) -> tuple[Path, Path]:
        files = folder / f"{name}.pem", folder / f"{name}.key"
        where = ["-out", str(files[0]), "-keyout", str(files[1])]
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += [*where, "-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}"]
        subprocess.run(command, check=True, capture_output=True)
        return files

    # Each is its own authority.
    return {
        "good": made("good", "IP:127.0.0.1"),
        "another host": made("elsewhere", "DNS:elsewhere.example.org"),
    }


@pytest.mark.parametrize(
    ("which", "trusted", "said"),
    [
        ("good", False, "cannot be trusted: SSLError [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self"),
        ("good", True, "there is no CVAT server at https://"),
        ("another host", True, "| [cvat] url must name it as its certificate does"),
    ],
)
def test_certificates(
    team: Team, others: Others, certificates: dict[str, Any], which: str, trusted: bool, said: str
) -> None:
    if trusted:
        team.patch.setenv("SSL_CERT_FILE", str(certificates[which][0]))
    team.set(url=others.start(200, {}, b"{}", certificates[which]))
    error = team.refused("upload", *UPLOAD, code=2)
    assert said in error
    if not trusted:
        assert error.endswith("| SSL_CERT_FILE names the file of your own authority; or see [cvat] url")
