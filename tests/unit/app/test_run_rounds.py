"""``run`` round by round: budgets, people, two at once, and when it stops by itself.

The training is played (a model's row, without weights); everything else is the real loop.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from drawn_videos import write_video
from drawn_workspace import CLASSES

from data_engine.app.footage.sample import INPUT
from data_engine.app.rounds import rounds, run_steps
from data_engine.app.rounds.round_rows import decision_of, row_of
from data_engine.app.rounds.round_stop import new_cameras
from data_engine.app.rounds.run import run
from data_engine.app.selection.filter import filter_frames
from data_engine.app.status import standing
from data_engine.cli.main import main
from data_engine.errors import MissingInputError
from data_engine.lineage import champions, datasets, models, uploads
from data_engine.lineage import rounds as lineage
from data_engine.lineage.rounds import Round
from data_engine.runner import settings_of
from data_engine.stages.rounds import Gain, RunSettings, judge
from data_engine.types import Model, Report, content_id
from data_engine.types.evaluation import Comparison, Delta, EvaluationSet, Measured, Scores

SETTINGS = {
    "sample": {"method": "interval", "interval": 0.2, "workers": 1},
    "filter": {"strategy": "random", "tolerance": 0, "min_gap": 0.0, "allow_similar": True},
    "convert": {"format": "yolo"},
    "retrain": {"kind": "yolo", "promote": False},
}


def train(engine, _budget=None) -> Report:
    with engine.database.read() as connection:
        version = datasets.latest(connection)
    model = Model(content_id("model", version.number), "yolo", f"models/{version.number}.onnx", CLASSES, version.id)
    with (
        engine.runner.run("retrain", 1, settings_of({"of": version.number}), inputs=[version.id]) as step,
        engine.database.write() as connection,
    ):
        models.add_model(connection, model, run_id=step.id, weights_key=None, registered_at=engine.now())
        engine.runner.finish_input(connection, step, [version.id])
    return Report(f"trained on {version.label}")


@pytest.fixture
def opened(workspace, monkeypatch):
    """Makes engines of a workspace with 20 frames of one video."""
    monkeypatch.setitem(run_steps.STEPS, "retrain", train)
    write_video(workspace.root / INPUT / "yard.mp4", seed=1)
    return lambda **settings: workspace.open(**SETTINGS, run=settings)


def in_tasks(engine) -> int:
    with engine.database.read() as connection:
        return len(uploads.frames_in_tasks(connection))


def steps(report: Report) -> list[str]:
    return [row["step"] for row in report.rows]


def test_round_after_round_within_the_budget(workspace, opened):
    engine = opened(frames_per_round=4)
    first = run(engine)
    assert steps(first) == ["sample", "filter", "upload"]
    assert (first.title, first.data["stopped_for"], in_tasks(engine)) == ("waiting for people: 1 job", "people", 4)
    assert [(pile["jobs"], pile["person"]) for pile in first.data["waiting_for"]] == [(1, "")]
    again = run(engine)
    assert (steps(again), in_tasks(engine)) == (["sample"], 4)

    workspace.annotate(engine)
    second = run(engine)
    assert steps(second) == ["sample", "export", "convert", "retrain", "filter", "upload"]
    assert (second.data["rounds_done"], in_tasks(engine)) == (1, 8)
    workspace.annotate(engine)
    run(engine)
    one, two = rounds.told(engine)
    assert (one.number, one.version, one.pool, one.chosen, one.frames, one.jobs) == (1, 1, 20, 4, 4, 1)
    assert (two.number, two.version, two.chosen, two.frames) == (2, 2, 4, 4)
    assert (two.model_after, two.model_before) == (content_id("model", 2), None)
    assert two.boxes >= 4
    assert two.cpu_s.keys() == {"filter", "upload", "sample", "export", "convert", "retrain"}
    assert two.begun_at > one.ended_at


def test_the_budget_in_minutes_is_spent_on_what_is_expected(opened):
    # Without a model a frame is expected to hold the usual boxes: 0.2 and some 0.12 minutes.
    engine = opened(minutes_per_round=2.0)
    run(engine)
    budget = rounds.budget(engine, [], [])
    per_frame = (2.0 - budget.room.minutes) / in_tasks(engine)
    assert 0 <= budget.room.minutes < per_frame
    assert in_tasks(engine) == int(2.0 / per_frame)


def test_more_than_the_round_may_cost_is_not_uploaded_even_if_it_was_chosen(workspace, opened):
    engine = opened(frames_per_round=3)
    run(opened(rounds=1, frames_per_round=1))
    filter_frames(workspace.open(**SETTINGS | {"filter": {**SETTINGS["filter"], "budget": 9}}))
    assert standing(engine).waiting_frames == 9
    assert steps(run(engine)) == ["sample", "upload"]
    assert (in_tasks(engine), standing(engine).waiting_frames) == (3, 7)
    # The rest of that choice is not handed out later: the next round chooses anew.
    workspace.annotate(engine)
    assert steps(run(engine)) == ["sample", "export", "convert", "retrain", "filter", "upload"]
    assert (in_tasks(engine), standing(engine).waiting_frames) == (6, 0)


def test_all_rounds_that_were_asked_for(workspace, opened):
    engine = opened(rounds=1, frames_per_round=4)
    run(engine)
    workspace.annotate(engine)
    ended = run(engine)
    assert ended.data["stopped_for"] == "rounds"
    assert ended.title == "no further frames: 1 of 1 round done"
    assert steps(run(engine)) == ["sample"]


def test_waiting_for_people_and_going_on(workspace, opened):
    engine = opened(rounds=2, frames_per_round=4)
    looks = []

    def wait() -> None:
        looks.append(in_tasks(engine))
        workspace.annotate(engine)

    report = run(engine, wait=wait)
    assert (looks, report.data["stopped_for"], report.data["rounds_done"]) == ([4, 8], "rounds", 2)


def test_two_at_once(workspace, opened, capsys):
    engine = opened()
    with engine.database.alone_if_free("run"):
        busy = run(engine)
        assert main(["run", "--workspace", str(workspace.root), "--json"]) == 0
    assert (busy.data["stopped_for"], busy.title) == ("busy", "another run is at work here: nothing was done")
    assert json.loads(capsys.readouterr().out)["stopped_for"] == "busy"
    assert in_tasks(engine) == 0


def test_a_killed_run_leaves_its_lock(opened):
    engine = opened(frames_per_round=4)
    code = (
        "import sys, time; from data_engine.lineage.database import Database\n"
        "with Database(sys.argv[1]).alone_if_free('run'): print('held', flush=True); time.sleep(60)"
    )
    url = engine.database.url.render_as_string(hide_password=False)
    with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        assert run(engine).data["stopped_for"] == "busy"
        process.send_signal(signal.SIGKILL)
    assert run(engine).data["stopped_for"] == "people"


def test_a_step_that_was_walked_by_hand_is_part_of_its_round(workspace, opened):
    engine = opened(frames_per_round=4)
    run(engine)
    workspace.annotate(engine)
    for step in ("export", "convert"):
        run_steps.STEPS[step](engine, rounds.budget(engine, [], []))
    train(engine)
    with engine.database.read() as connection:
        assert [one.ended_at for one in lineage.told(connection)] == [None]
    (derived,) = rounds.told(engine)
    assert (derived.frames, derived.version) == (4, 1)
    assert rounds.record(engine) == [derived]
    with engine.database.read() as connection:
        assert lineage.told(connection) == [derived]
    assert rounds.told(engine) == [derived]


def test_what_a_job_waited_for_is_nobodys_work(workspace, opened, clock):
    engine = opened(frames_per_round=4)
    run(engine)
    # A night in somebody's inbox, and handed in without a word of when it was begun.
    clock.time += timedelta(minutes=29)
    workspace.annotate(engine)
    run(engine)
    (one,) = rounds.told(engine)
    assert (one.jobs, one.jobs_timed) == (1, 0)
    assert one.minutes == pytest.approx(0.2 * one.frames + 0.12 * one.boxes)


def test_what_became_of_a_round_s_model_is_told_as_it_is_now(workspace, opened):
    engine = opened(frames_per_round=4)
    run(engine)
    workspace.annotate(engine)
    run(engine)
    (one,) = rounds.told(engine)

    def told() -> str:
        return row_of(engine, one)["decision"]

    assert told() == ""
    with engine.database.write() as connection:
        older = Model(content_id("model", "older"), "yolo", "o.onnx", CLASSES)
        models.add_model(connection, older, run_id=None, weights_key=None, registered_at=engine.now())
        first = champions.crown(connection, older.id, "yolo", at=engine.now(), decision={})
        reasons = {"reasons": ["it is worse"]}
        champions.refuse(connection, one.model_after, "yolo", at=engine.now(), decision=reasons, over_id=older.id)
    assert told() == "refused"
    with engine.database.write() as connection:
        champions.crown(connection, one.model_after, "yolo", at=engine.now(), decision={}, action="forced")
    assert told() == "promoted by hand"
    with engine.database.write() as connection:
        champions.roll_back(
            connection, first, at=engine.now(), over_id=one.model_after, decision={}, reason="it dreams"
        )
    assert told() == "promoted by hand, then taken back"
    assert decision_of(engine, one).reasons == ("taken back on 2026-01-01: it dreams",)
    with engine.database.write() as connection:
        last = champions.crown(connection, one.model_after, "yolo", at=engine.now(), decision={})
    assert told() == "promoted"
    # One that came after it was taken back; before that it had been refused against that one.
    with engine.database.write() as connection:
        champions.crown(connection, older.id, "yolo", at=engine.now(), decision={})
        champions.refuse(connection, one.model_after, "yolo", at=engine.now(), decision=reasons, over_id=older.id)
        champions.roll_back(connection, last, at=engine.now(), over_id=older.id, decision={})
    assert told() == "promoted"


def not_worth(_engine, ended):
    gain = Gain("map50", "golden set of v1", 50, 0.5, 0.5, -0.001, 0.001)
    return judge(gain, RunSettings(), rounds=[one.number for one in ended], frames=4, minutes=600.0)


def test_a_round_that_is_not_worth_its_labels_is_begun_on_demand_only(workspace, opened, monkeypatch):
    engine = opened(frames_per_round=4)
    run(engine)
    workspace.annotate(engine)
    monkeypatch.setattr(rounds, "verdict", not_worth)
    stopped = run(engine)
    assert (stopped.data["stopped_for"], stopped.next) == ("worth", "dataengine run --anyway")
    assert stopped.title.startswith("no further round: round 1 brought +0.0 points of map50")
    assert stopped.data["verdict"]["points_an_hour_at_most"] == pytest.approx(0.01)
    (one,) = rounds.told(engine)
    assert (one.stop["go_on"], "overruled_at" in one.stop) == (False, False)
    assert steps(run(engine)) == ["sample"]
    assert rounds.told(engine) == [one]

    assert steps(run(engine, anyway=True)) == ["sample", "filter", "upload"]
    assert rounds.told(engine)[0].stop["overruled_at"]
    # The word holds for that round; after it the rule is asked again.
    workspace.annotate(engine)
    assert run(engine).data["stopped_for"] == "worth"
    monkeypatch.setattr(rounds, "verdict", lambda *_: "too few rounds")
    assert steps(run(engine)) == ["sample", "filter", "upload"]


def test_a_new_camera_lifts_a_stop_once_and_new_footage_of_a_known_one_does_not(workspace, opened, monkeypatch):
    engine = opened(frames_per_round=4)
    run(engine)
    workspace.annotate(engine)
    monkeypatch.setattr(rounds, "verdict", not_worth)
    assert run(engine).data["stopped_for"] == "worth"
    write_video(workspace.root / INPUT / "yard/later.mp4", seed=2)
    again = run(engine)
    assert (again.data["stopped_for"], "yard" in new_cameras(engine, [])) == ("worth", False)
    assert again.title.endswith("a new camera does, and so does --anyway")

    write_video(workspace.root / INPUT / "gate.mp4", seed=3)
    assert steps(run(engine)) == ["sample", "filter", "upload"]
    (one,) = rounds.told(engine)
    assert (one.stop["lifted_by"], bool(one.stop["overruled_at"])) == (["gate"], True)
    # Whatever was chosen, it lifts no second one.
    workspace.annotate(engine)
    assert run(engine).data["stopped_for"] == "worth"


def comparison(before: str, after: str, low: float | None, high: float | None) -> Comparison:
    overall = Delta(0.5, 0.52, 0.02, low, high, 40, 90)
    return Comparison(
        before, after, "golden set of v3", "golden", "d", 40, 90, "map50", 0.95, 5, overall, {}, {}, {}, {}
    )


@pytest.fixture
def judged(opened, monkeypatch):
    """An engine, three rounds of an hour each that began with a model, and who was held against whom."""
    engine = opened(worth=1.0)
    with engine.database.write() as connection:
        for number in range(4):
            one = Model(content_id("model", number), "yolo", f"{number}.onnx", CLASSES)
            models.add_model(connection, one, run_id=None, weights_key=None, registered_at=engine.now())
    ended = [
        Round(
            n,
            "t",
            "t",
            n,
            model_before=content_id("model", n - 1),
            model_after=content_id("model", n),
            frames=10,
            minutes=60.0,
        )
        for n in (1, 2, 3)
    ]
    held: list[tuple[str, str]] = []
    ends = {"low": -0.01, "high": 0.029}

    def compare(_engine, before, after, _on):
        held.append((before.id, after.id))
        return comparison(before.id, after.id, **ends)

    monkeypatch.setattr("data_engine.app.models.evaluate.compare", compare)
    monkeypatch.setattr("data_engine.app.models.evaluate.evaluation_set", lambda _engine, _name: None)
    return engine, ended, held, ends


def test_the_rule_holds_what_came_out_against_what_went_in(judged):
    engine, ended, held, ends = judged
    said = rounds.verdict(engine, ended)
    assert (said.go_on, said.hours, said.frames, said.rounds) == (False, 3.0, 30, (1, 2, 3))
    assert held == [(content_id("model", 0), content_id("model", 3))]
    ends["high"] = 0.031
    assert rounds.verdict(engine, ended).go_on
    # Only the last rounds count.
    ends["high"] = 0.029
    assert rounds.verdict(engine, [replace(ended[0], number=0, minutes=0.0), *ended]).rounds == (1, 2, 3)


def test_what_cannot_be_judged_is_said(judged):
    engine, ended, _held, ends = judged
    assert "looks back on 3 rounds, and there are 2" in rounds.verdict(engine, ended[1:])
    assert "began without a model" in rounds.verdict(engine, [replace(ended[0], model_before=None), *ended[1:]])
    assert "no time of people" in rounds.verdict(engine, [replace(one, minutes=None) for one in ended])
    gone = replace(ended[0], model_before="f" * 32)
    assert "not registered any more" in rounds.verdict(engine, [gone, *ended[1:]])
    ends["low"] = ends["high"] = None
    assert "no interval" in rounds.verdict(engine, ended)


def test_what_a_model_reaches_is_measured_once_and_kept(judged, monkeypatch):
    engine, (one, *_), _held, _ends = judged
    asked: list[str] = []

    def evaluate(_engine, model, on):
        asked.append(model.id)
        scores = Scores(Measured(0.4, 0.3, 0.5), Measured(0.7, 0.6, 0.8), 0.9, 12, 34)
        none = replace(scores, map50=Measured(None), boxes=0)
        by_class = {"person": scores, "helmet": none}
        return SimpleNamespace(
            on=on.name, data_digest=on.digest, images=12, boxes=34, overall=scores, per_class=by_class
        )

    on = EvaluationSet("golden", "golden set of v1", (), {}, "digest")
    monkeypatch.setattr("data_engine.app.models.evaluate.evaluate", evaluate)
    monkeypatch.setattr("data_engine.app.models.evaluate.evaluation_set", lambda _engine, _name: on)
    measured = rounds.measure(engine, one)
    with engine.database.read() as connection:
        assert lineage.told(connection) == [measured]
    assert measured.metrics["map50"] == {"value": 0.7, "low": 0.6, "high": 0.8}
    assert measured.metrics["ap50_per_class"]["helmet"] == {"value": None, "low": None, "high": None, "boxes": 0}
    assert (measured.metrics["on"], measured.metrics["images"]) == ("golden set of v1", 12)
    assert rounds.measure(engine, measured) is measured
    assert asked == [one.model_after]


def test_a_model_that_cannot_be_measured_is_no_obstacle(judged, monkeypatch):
    engine, (one, *_), _held, _ends = judged

    def nothing(_engine, _name):
        raise MissingInputError("there is no picture to judge by")

    monkeypatch.setattr("data_engine.app.models.evaluate.evaluation_set", nothing)
    assert rounds.measure(engine, one) is one
    assert engine.notes[-1] == "round 1 was not measured: there is no picture to judge by"
    assert "cannot be measured: there is no picture" in rounds.verdict(engine, [one, one, one])
