"""``report``: one page and the same as JSON, in any state of the loop."""

from __future__ import annotations

import json

import pytest
from drawn_videos import write_video
from test_run_rounds import SETTINGS, train

from data_engine.app.annotation.audit import audit
from data_engine.app.footage.sample import INPUT
from data_engine.app.rounds import run_steps
from data_engine.app.rounds.report import report
from data_engine.app.rounds.run import run
from data_engine.cli.main import main
from data_engine.cli.output import as_data
from data_engine.errors import ServiceError, UsageError


def page_of(engine) -> str:
    return engine.storage.path("report.html").read_text("utf-8")


def test_a_workspace_without_anything(workspace, capsys):
    engine = workspace.open()
    told = report(engine)
    assert told.title.startswith("0 rounds told in ")
    assert told.next == "dataengine sample"
    assert "No round has ended yet" in page_of(engine)
    assert (
        main(["report", "--workspace", str(workspace.root), "--json", "--output", str(workspace.root / "r.html")]) == 0
    )
    written = json.loads(capsys.readouterr().out)
    assert written["rounds"] == []
    assert written["flow"][0] == {"step": "videos", "count": 0, "detail": "videos_raw/"}
    assert (workspace.root / "r.html").is_file()
    with pytest.raises(UsageError, match="is a folder"):
        report(engine, output=workspace.root / "logs")


@pytest.fixture
def turned(workspace, monkeypatch):
    """A workspace after two rounds, in the third."""
    monkeypatch.setitem(run_steps.STEPS, "retrain", train)
    write_video(workspace.root / INPUT / "yard.mp4", seed=1)
    engine = workspace.open(**SETTINGS, run={"frames_per_round": 5})
    for careless in (False, True):
        run(engine)
        workspace.annotate(engine, careless=careless)
    run(engine)
    return engine


def test_what_the_page_shows_is_in_the_json(turned):
    told = report(turned)
    data = as_data(told)
    json.dumps(data, allow_nan=False)
    page = page_of(turned)
    assert [row["round"] for row in data["rows"]] == [1, 2]
    assert [(one["frames"], one["version"]) for one in data["rounds"]] == [(5, "v1"), (5, "v2")]
    assert [(one["annotator"], one["jobs"], one["frames"]) for one in data["annotators"]] == [
        ("ann@example.com", 2, 10)
    ]
    assert data["annotators"][0]["rejections"] == 1
    assert data["reviewers"] == [
        {"reviewer": "rev@example.com", "accepted": 2, "rejected": 1, "minutes": None, "jobs_timed": 0}
    ]
    # Nobody said when a job was begun.
    assert [(one["minutes"], one["jobs_timed"]) for one in data["annotators"]] == [(None, 0)]
    assert [one["reviews_timed"] for one in data["rounds"]] == [0, 0]
    audited = audit(turned)
    assert data["audit"]["annotators"] == [dict(row) for row in audited.rows]
    assert (data["audit"]["jobs"], data["audit"]["probes"]) == (2, 0)
    assert "How closely they looked" in page
    boxes = {row["class"]: row["after"] for row in data["class_balance"]["classes"]}
    assert sum(boxes.values()) == sum(one["boxes"] for one in data["rounds"])
    assert data["class_balance"]["from"] == "v1"
    assert (data["chosen"]["frames"], len(data["chosen"]["shown"])) == (5, 5)
    assert data["certificate"]["said"]["version"] == "v2"
    assert data["certificate"]["wrong"] == []
    # The model's weights are not there, and it was never measured: the page says so and is made.
    assert [one["reached"] for one in data["rounds"]] == [None, None]
    for shown in (
        "Rounds <span",
        "ann@example.com",
        "rev@example.com",
        "Nothing leaks",
        "yard",
        "No model of these rounds",
    ):
        assert shown in page
    assert page.count('src="data:image/jpeg') == 5


def test_a_server_that_is_down_is_no_reason_for_no_report(turned, monkeypatch):
    def down(_engine):
        raise ServiceError("it did not answer")

    monkeypatch.setattr("data_engine.app.rounds.report.status", down)
    monkeypatch.setattr("data_engine.app.rounds.report_people.audit", down)
    told = report(turned)
    assert "how closely people looked is not told: it did not answer" in told.notes
    assert told.data["audit"] == {}
    assert "the annotation server was not asked: it did not answer" in told.notes
    assert [row["count"] for row in told.data["flow"][:3]] == [1, 20, 15]
