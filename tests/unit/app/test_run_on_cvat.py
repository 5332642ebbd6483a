"""``run`` where people work on a server that behaves as CVAT: their word is acted on, and a silent one waited for."""

from __future__ import annotations

import uuid

import pytest
from drawn_videos import write_video
from test_run_rounds import SETTINGS, in_tasks, steps, train

from data_engine.app.footage.sample import INPUT
from data_engine.app.rounds import rounds, run_steps
from data_engine.app.rounds.run import run
from data_engine.errors import ServiceError

pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
pytestmark = pytest.mark.required


@pytest.fixture
def engine(workspace, monkeypatch):
    from cvat_server import ADMIN, CvatServer

    monkeypatch.setitem(run_steps.STEPS, "retrain", train)
    write_video(workspace.root / INPUT / "yard.mp4", seed=1)
    with CvatServer(seed=5) as server:
        for name in ("ann", "rea"):
            server.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield workspace.open(
            **SETTINGS,
            annotation={"backend": "cvat"},
            cvat={
                "url": server.url,
                "username": ADMIN[0],
                "password": ADMIN[1],
                "patience": 20.0,
                "project": f"run {uuid.uuid4().hex[:8]}",
            },
            upload={"assignee": ("ann",)},
            sync={"reviewer": ("rea",)},
            run={"frames_per_round": 4, "rounds": 1},
        )


def complete(engine) -> None:
    for job in engine.backend().jobs():
        if not job.accepted:
            engine.backend().update_job(job.id, state="completed")


def test_what_people_say_on_the_server_moves_the_loop_on(engine):
    first = run(engine)
    assert (steps(first), in_tasks(engine)) == (["sample", "filter", "upload"], 4)
    assert [(pile["stage"], pile["person"]) for pile in first.data["waiting_for"]] == [("annotation", "ann")]
    complete(engine)
    second = run(engine)
    assert steps(second) == ["sample", "sync"]
    assert [(pile["stage"], pile["person"]) for pile in second.data["waiting_for"]] == [("validation", "rea")]
    complete(engine)
    third = run(engine)
    assert steps(third) == ["sample", "sync", "export", "convert", "retrain"]
    assert third.data["stopped_for"] == "rounds"
    (one,) = rounds.told(engine)
    assert (one.frames, one.jobs, "sync" in one.cpu_s) == (4, 1, True)


def test_a_server_that_does_not_answer_is_waited_for(engine, monkeypatch):
    run(engine)
    complete(engine)
    waited: list[int] = []

    def down(_engine):
        raise ServiceError("the server did not answer")

    monkeypatch.setattr("data_engine.app.rounds.run.sync", down)
    with pytest.raises(ServiceError):
        run(engine)

    def wait() -> None:
        waited.append(len(waited))
        monkeypatch.undo()
        monkeypatch.setitem(run_steps.STEPS, "retrain", train)
        complete(engine)

    report = run(engine, wait=wait)
    assert (waited, report.data["rounds_done"]) == ([0, 1], 1)
