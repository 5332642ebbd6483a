"""``dataengine classes`` and the commands that doubt boxes, as they are typed."""

from __future__ import annotations

import json

import pytest

from data_engine.cli.main import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", ".", "--classes", "person,helmet", "--json"]) == 0

    def call(*words: str, code: int = 0):
        capsys.readouterr()
        assert main([*words, "--json"]) == code
        out, err = capsys.readouterr()
        return json.loads(out if code == 0 else err.strip().splitlines()[-1])

    return call


def test_classes_are_changed_by_their_names(run):
    assert run("classes", "rename", "helmet", "hard hat", "--by", "lea")["name"] == "hard hat"
    assert run("classes", "add", "vest", "cap")["added"] == ["vest", "cap"]
    assert run("classes", "merge", "vest", "helmet", "--into", "gear")["into"] == "gear"
    assert run("classes", "retire", "cap", "--keep-boxes", "--reason", "too small")["boxes_kept"] is True
    assert run("classes", "split", "person", "--into", "worker", "--into", "visitor")["into"] == ["worker", "visitor"]
    rows = run("classes", "list")["rows"]
    assert {row["class"]: row["state"] for row in rows} == {
        "person": "no longer offered",
        "hard hat": "merged into gear in v1",
        "vest": "merged into gear in v1",
        "cap": "no longer offered",
        "gear": "in use",
        "worker": "in use",
        "visitor": "in use",
    }
    told = run("classes", "history", "helmet")["rows"]
    # With what became of the class that it is today.
    assert [row["change"] for row in told] == ["added", "renamed", "added", "merged", "merged"]
    assert run("classes", "rename", "persn", "x", code=3)["hint"] == "did you mean 'person'?"


def test_what_needs_a_version_says_so(run):
    for words in (("dataset", "errors"), ("review", "requeue", "--class", "person")):
        assert run(*words, code=3)["hint"] == "run first: dataengine export"
    assert run("review", "requeue", "--frame", "a", "--top", "2", code=2)["error"].startswith("findings are told by")
