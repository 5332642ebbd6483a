"""Built-in < dataengine.toml < DATAENGINE_* < options, through the whole command line."""

from __future__ import annotations

import json

import pytest

from data_engine.cli.main import main
from data_engine.types import Report


@pytest.fixture
def threshold(monkeypatch, tmp_path, capsys):
    import data_engine.app.footage.sample as app_sample

    def sample(engine, **_):
        return Report("seen", {"threshold": engine.settings.sample.threshold})

    monkeypatch.setattr(app_sample, "sample", sample)
    monkeypatch.chdir(tmp_path)

    def resolve(*words: str) -> float:
        assert main(["sample", "--json", "--quiet", *words]) == 0
        return json.loads(capsys.readouterr().out)["threshold"]

    return resolve


def test_precedence(threshold, monkeypatch, tmp_path):
    from data_engine.stages.sample import SampleSettings

    assert threshold() == SampleSettings().threshold
    (tmp_path / "dataengine.toml").write_text("[sample]\nthreshold = 0.7\n")
    assert threshold() == 0.7
    monkeypatch.setenv("DATAENGINE_SAMPLE_THRESHOLD", "0.6")
    assert threshold() == 0.6
    assert threshold("--threshold", "0.5") == 0.5


def test_the_workspace_is_found_upwards_or_named(threshold, monkeypatch, tmp_path):
    for name, value in (("one", 0.7), ("two", 0.6)):
        (tmp_path / name / "deep er").mkdir(parents=True)
        (tmp_path / name / "dataengine.toml").write_text(f"[sample]\nthreshold = {value}\n")
    monkeypatch.chdir(tmp_path / "one" / "deep er")
    assert threshold() == 0.7
    assert threshold("-w", str(tmp_path / "two")) == 0.6
    assert (tmp_path / "one" / "logs").is_dir()
