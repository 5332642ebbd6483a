"""The log of a command: JSON lines in the workspace, and never a secret."""

from __future__ import annotations

import ast
import json
import logging
import types
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

import data_engine
from data_engine.cli.logs import HIDDEN, JsonLines, Redactor, secrets_in_environment, secrets_in_settings
from data_engine.errors import ServiceError
from data_engine.types import Failed, Report


def entries(folder):
    (file,) = (folder / "logs").glob("status-*.jsonl")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_a_run_leaves_its_lines(app, run, tmp_path):
    def status(engine):
        logging.getLogger("somewhere").info("%d frames", 3, extra={"stage": "sample", "paths": ["a", 1]})
        logging.getLogger("somewhere").debug("too much")
        return Report("all is well", {"n": 3}, failures=(Failed("a.mp4", "broken"),))

    app.set("status", status=status)
    run("status")
    run("status")
    lines = entries(tmp_path)
    assert [line["message"] for line in lines] == [
        "started",
        "3 frames",
        "failed: a.mp4: broken",
        "finished: all is well",
    ] * 2
    assert lines[1] | {"time": 0, "process": 0} == {
        "time": 0,
        "process": 0,
        "level": "info",
        "command": "status",
        "logger": "somewhere",
        "message": "3 frames",
        "stage": "sample",
        "paths": ["a", 1],
    }
    assert lines[3]["report"] == {"n": 3}
    assert logging.getLogger().handlers == [h for h in logging.getLogger().handlers if "JsonLines" not in repr(h)]


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_log_level(app, run, tmp_path, level, count):
    def status(engine):
        for name in ("debug", "info", "warning"):
            logging.getLogger("somewhere").log(getattr(logging, name.upper()), name)
        return Report("done")

    app.set("status", status=status)
    run("status", "--log-level", level)
    assert sum(line["logger"] == "somewhere" for line in entries(tmp_path)) == count


def test_errors_and_bugs_are_logged(app, run, tmp_path):
    app.status(ServiceError("no answer"))
    run("status")
    app.status(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        run("status")
    app.status(KeyboardInterrupt())
    run("status")
    lines = [line for line in entries(tmp_path) if line["message"] != "started"]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("error", "failed: no answer"),
        ("error", "failed"),
        ("warning", "interrupted"),
    ]
    assert lines[0]["code"] == 6
    assert "ZeroDivisionError: a bug" in lines[1]["exception"]


def test_outside_a_workspace_the_log_lies_with_the_lineage(app, run, tmp_path):
    app.in_workspace = False
    app.status(Report("done"))
    run("status")
    assert not (tmp_path / "logs").exists()
    assert entries(tmp_path / ".dataengine")[-1]["message"] == "finished: done"


def test_a_log_that_cannot_be_written_does_not_end_the_work(app, run, tmp_path):
    (tmp_path / "logs").write_text("in the way")
    app.status(Report("done"))
    result = run("status")
    assert (result.code, result.out) == (0, "done\n")
    assert result.err.startswith(f"no log is kept: {tmp_path / 'logs' / 'status-'}")


def test_verbose_shows_the_log_without_secrets(app, run, monkeypatch):
    monkeypatch.setenv("DATAENGINE_ANNOTATION_TOKEN", "t0ps3cret")

    def status(engine):
        logging.getLogger("somewhere").info("token t0ps3cret")
        return Report("done")

    app.set("status", status=status)
    result = run("status", "--verbose")
    assert "INFO somewhere: token ***\n" in result.err
    assert result.out == "done\n"


def test_secrets_never_reach_the_log_nor_the_screen(app, run, tmp_path):
    class Database(BaseModel):
        url: SecretStr = SecretStr("postgresql://me:hunter2@db/x")
        password: SecretStr = SecretStr("correct horse")

    class Settings(BaseModel):
        database: Database = Database()

    app.settings = Settings()

    def status(engine):
        logging.getLogger("x").warning(
            "%s", engine.settings.database.url.get_secret_value(), extra={"a": ["correct horse"]}
        )
        raise ServiceError("no answer from postgresql://me:hunter2@db/x (correct horse)", hint="use correct horse")

    app.set("status", status=status)
    result = run("status")
    assert result.err == "error: no answer from *** (***)\nhint: use ***\n"
    (file,) = (tmp_path / "logs").iterdir()
    text = file.read_text("utf-8")
    assert "hunter2" not in text
    assert "correct horse" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:p%40ss@db:5432/x failed", "postgresql+psycopg://me:***@db:5432/x failed"),
        ("s3://key:se:cr@et@host/b", "s3://key:***@host/b"),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("http://host/x?token=abc&y=1", "http://host/x?token=***&y=1"),
        ("_rtsp://me:abc@cam/x?channel=1&pwd=abc", "_rtsp://me:***@cam/x?channel=1&pwd=***"),
        ("C:\\videos a@b.c", "C:\\videos a@b.c"),
        (
            "rtsp://cam/user=admin&password=S3/cret&channel=1 failed",
            "rtsp://cam/user=***&password=***&channel=1 failed",
        ),
        ("rtsp://cam/user=ad_min_password=x_y_channel=1", "rtsp://cam/user=***_password=***_channel=1"),
        ("rtsp://cam/ch1;password=abc;x=1", "rtsp://cam/ch1;password=***;x=1"),
        ("http://token:8080/users/monkey.jpg", "http://token:8080/users/monkey.jpg"),
        ("POST /api/x/user=admin;password=abc HTTP/1.1", "POST /api/x/user=***;password=*** HTTP/1.1"),
        ("Authorization: Bearer abc.def\r\nAccept: */*", "Authorization: ***\r\nAccept: */*"),
        ("{'authorization': 'Basic YTpi', 'Accept': 'x'}", "{'authorization': '***', 'Accept': 'x'}"),
        ('{"X-CSRFToken": "abc", "a": 1}', '{"X-CSRFToken": "***", "a": 1}'),
        ("[('Cookie', 'sessionid=abc; csrftoken=def')]", "[('Cookie', '***')]"),
        ("sent sessionid=abc; Max-Age=1209600", "sent sessionid=***; Max-Age=1209600"),
    ],
)
def test_passwords_in_addresses(text, shown):
    assert Redactor()(text) == shown


def test_which_secrets_are_known():
    environ = {
        "DATAENGINE_CVAT_TOKEN": "a",
        "DATAENGINE_SAMPLE_LIMIT": "5",
        "OTHER_TOKEN": "b",
        "DATAENGINE_X_PASSWORD": "",
    }
    assert secrets_in_environment(environ) == {"a"}
    assert secrets_in_settings(types.SimpleNamespace()) == set()
    redact = Redactor(["ab", "abc"])
    assert redact("abcd ab") == "***d ***"


LITERALS = [
    text
    for file in sorted(Path(data_engine.__file__).parent.rglob("*.py"))
    for node in ast.walk(ast.parse(file.read_text("utf-8")))
    if (
        text := node.value
        if isinstance(node, ast.Constant)
        else "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        if isinstance(node, ast.JoinedStr)
        else ""
    )
    and isinstance(text, str)
]
"""Every text of this program, with an x where something is filled in."""


def test_the_program_s_own_words_are_left_alone():
    assert len(LITERALS) > 5000
    redact = Redactor(["a long secret"])
    assert [text for text in LITERALS if redact(text) != text] == []


@pytest.mark.parametrize(
    "text",
    [
        "export DATAENGINE_CVAT_WEBHOOK_SECRET=$(openssl rand -hex 32)",
        "DATAENGINE_TEAM_PASSWORD: team.password: Value should have at least 8 items",
        "DATAENGINE_CVAT_TOKEN=the-value is how it is given; [cvat] password: see the environment",
    ],
)
def test_words_after_a_variable_s_name_are_left_alone(text):
    assert Redactor()(text) == text


SECRETS = st.text(st.characters(blacklist_characters="*", blacklist_categories=("Cs",)), min_size=4, max_size=40)
WORDS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=60)
SPELLINGS = [str, repr, json.dumps, quote, "http://u:{}@h/x".format, "http://h/x?token={}&y=1".format, "'{}'".format]


@given(SECRETS, WORDS, WORDS, st.sampled_from(SPELLINGS))
@example("p@ss/w rd\"'\\", "", "", repr)
@example("p@ss/w rd", "a", "b", quote)
def test_no_secret_survives_in_a_message_or_a_line(secret, before, after, spelling):
    text = f"{before}{spelling(secret)}{after}"
    redact = Redactor([secret])
    assert secret not in redact(text)
    # Not in what repr() or JSON make of it: their own escapes may spell a secret ("0000").
    ((name, said),) = redact.inside({text: [(text,)]}).items()
    assert secret not in name
    assert secret not in said[0][0]
    assert spelling(secret) not in redact(text)
    line = logging.makeLogRecord({"name": "x", "levelno": 20, "msg": text, "extra": [text]})
    written = JsonLines("status", redact)._line(line).decode()
    assert secret not in json.loads(written)["message"]
    assert HIDDEN in json.loads(written)["message"]


@given(st.text("abcdefghij ,.:=_-()[]$'\"", max_size=80), st.text("klmnop", min_size=4, max_size=20))
def test_a_message_without_a_secret_is_left_alone(text, secret):
    assert Redactor([secret])(text) == text


def test_remarks_and_reasons_hold_no_secret_either(app, run, monkeypatch):
    monkeypatch.setenv("DATAENGINE_CVAT_TOKEN", "t0ps3cret")

    def status(engine):
        engine.progress.note("trying again with t0ps3cret")
        return Report("done", failures=(Failed("a.mp4", "refused t0ps3cret"),), notes=("sent t0ps3cret",))

    app.set("status", status=status)
    result = run("status", "--json")
    assert "t0ps3cret" not in result.out + result.err
    assert json.loads(result.out)["failures"] == [{"input": "a.mp4", "reason": "refused ***"}]
    assert result.err == "trying again with ***\nsent ***\nfailed: a.mp4: refused ***\n"
