"""What stands on stdout and on stderr, to the letter."""

from __future__ import annotations

import json
import os
import pty
import sys
from pathlib import Path

from data_engine.cli.output import clean, plain, shown, write_table
from data_engine.types import Failed, Report

REPORT = Report(
    "sampled 212 frames from 3 videos",
    {"frames": 212, "seconds_of_video": 1234.5678, "per_video": {"a": 1}, "complete": True, "model": None},
    rows=({"video": "gate one", "frames": 7}, {"video": "yard", "frames": 205, "damage": "ends after 3.2 s"}),
    notes=("a remark",),
    next="dataengine filter",
)


def test_text(app, run):
    app.status(REPORT)
    result = run("status")
    assert result.code == 0
    assert result.out == (
        "sampled 212 frames from 3 videos\n"
        "frames: 212\n"
        "seconds of video: 1235\n"
        "complete: yes\n"
        "model: -\n"
        "video     frames  damage\n"
        "gate one       7  -\n"
        "yard         205  ends after 3.2 s\n"
        "next: dataengine filter\n"
    )
    assert result.err == "a remark\n"


def test_json_is_one_object_and_nothing_else(app, run):
    app.notes = ["how it was opened"]
    app.status(REPORT)
    result = run("status", "--json")
    assert result.err == "how it was opened\na remark\n"
    assert result.out.count("\n") == 1
    assert json.loads(result.out) == {
        "title": "sampled 212 frames from 3 videos",
        "frames": 212,
        "seconds_of_video": 1234.5678,
        "per_video": {"a": 1},
        "complete": True,
        "model": None,
        "rows": [
            {"video": "gate one", "frames": 7},
            {"video": "yard", "frames": 205, "damage": "ends after 3.2 s"},
        ],
        "notes": ["a remark"],
        "failures": [],
        "next": "dataengine filter",
    }


def test_json_names_the_failures(app, run):
    app.status(Report("done", failures=(Failed("ä.mp4", "no video"),)))
    result = run("status", "--json")
    assert result.code == 8
    assert json.loads(result.out)["failures"] == [{"input": "ä.mp4", "reason": "no video"}]
    assert result.err == "failed: ä.mp4: no video\n"


def test_quiet_leaves_the_json_that_was_asked_for(app, run):
    app.notes = ["how it was opened"]
    app.status(REPORT)
    assert run("status", "--quiet").out == ""
    result = run("status", "--quiet", "--json")
    assert json.loads(result.out)["frames"] == 212
    assert result.err == ""


def test_notes_that_come_while_working_are_shown_once(app, run):
    app.notes = ["before"]

    def status(engine):
        engine.notes.append("meanwhile")
        return Report("done")

    app.set("status", status=status)
    assert run("status").err == "before\nmeanwhile\n"


def test_json_values_that_json_does_not_have():
    assert plain({"a": float("nan"), "b": (Path("x/y"), {"k": float("inf")}), "c": {3, 1}}) == {
        "a": None,
        "b": ["x/y", {"k": None}],
        "c": [1, 3],
    }


def test_values_for_people():
    assert [shown(v) for v in (None, True, 0.123456, 123456.7, 12, ("a", 1), "x")] == [
        "-",
        "yes",
        "0.1235",
        "123457",
        "12",
        '["a", 1]',
        "x",
    ]


def test_a_file_name_cannot_write_over_the_terminal():
    assert clean("evil\x1b[2J\x07 name\n\udcff.mp4") == "evil\\x1b[2J\\x07 name \\udcff.mp4"
    assert clean("Straße 7 – 日本.mp4") == "Straße 7 – 日本.mp4"


def test_a_table_on_a_terminal_keeps_brackets_and_has_no_colour_when_not_wanted(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        write_table([{"file": "[red]a[/red].mp4", "frames": 3}], terminal)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert "[red]a[/red].mp4" in text
    assert "\x1b[3" not in text


def test_text_that_the_terminal_cannot_encode_does_not_end_the_work(app, monkeypatch, tmp_path):
    from data_engine.cli.main import main

    app.status(Report("caf\u00e9"))
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["status"]) == 0
    assert (tmp_path / "out").read_text("ascii") == "caf\\xe9\n"
