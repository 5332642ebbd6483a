"""An option that may be typed without a value is not given, given, or given with one."""

from __future__ import annotations

from pathlib import Path

import pytest

import data_engine.app.footage.ingest as app_ingest
from data_engine.cli.main import main
from data_engine.types import Report


@pytest.fixture
def seen(monkeypatch, tmp_path) -> dict[str, object]:
    found: dict[str, object] = {}

    def ingest(engine, **given):
        found.update(given, pattern=engine.settings.ingest.pattern)
        return Report("seen")

    monkeypatch.setattr(app_ingest, "ingest", ingest)
    (tmp_path / "dataengine.toml").touch()
    (tmp_path / "below").mkdir()
    # Not the workspace's own folder.
    monkeypatch.chdir(tmp_path / "below")
    return found


@pytest.mark.parametrize(
    ("words", "jsonl", "csv"),
    [
        ("", None, None),
        ("--jsonl", "ROOT/ingest.jsonl", None),
        ("--csv", None, "ROOT/ingest.csv"),
        ("--jsonl --csv", "ROOT/ingest.jsonl", "ROOT/ingest.csv"),
        ("--csv --jsonl out.jsonl", "out.jsonl", "ROOT/ingest.csv"),
        ("--jsonl out.jsonl --csv ../out.csv", "out.jsonl", "../out.csv"),
        ("--jsonl=out.jsonl --csv", "out.jsonl", "ROOT/ingest.csv"),
        ("--jsonl=-odd.jsonl", "-odd.jsonl", None),
        ("--jsonl -q", "ROOT/ingest.jsonl", None),
        ("--csv --pattern {camera}/{_}", None, "ROOT/ingest.csv"),
        ("--pattern --csv/{camera} --jsonl", "ROOT/ingest.jsonl", None),
    ],
)
def test_with_and_without_a_value(seen, tmp_path, words, jsonl, csv, capsys):
    assert main(["ingest", *words.split()]) == 0

    def path(text: str | None) -> Path | None:
        return None if text is None else Path(text.replace("ROOT", str(tmp_path)))

    assert (seen["jsonl"], seen["csv"]) == (path(jsonl), path(csv))
    assert ("--pattern" in words) == (seen["pattern"] is not None)


def test_the_help_shows_that_the_value_may_be_left_out(capsys):
    assert main(["ingest", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--jsonl [FILE]" in text
    assert "--csv [FILE]" in text


def test_other_options_need_their_value(seen, capsys):
    assert main(["ingest", "--pattern"]) == 2
    assert "requires an argument" in capsys.readouterr().err
    assert seen == {}
