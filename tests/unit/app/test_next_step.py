"""What comes next, for every state that the loop can be in."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from data_engine.app.annotation.jobs import SeenJob
from data_engine.app.annotation.upload import upload
from data_engine.app.rounds.run import _next, run
from data_engine.app.selection.filter import filter_frames
from data_engine.app.status import Standing, standing
from data_engine.lineage.labelling import KnownJob
from data_engine.types import DatasetVersion, Job

NOTHING = Standing(
    videos=0,
    frames=0,
    selection=None,
    waiting_frames=0,
    jobs=(),
    version=None,
    model_version=0,
    has_model=False,
    written=True,
    converted=False,
    proposed=False,
)
SAMPLED = replace(NOTHING, frames=9)


def job(stage: str, state: str, merged: str | None = None) -> SeenJob:
    now = Job(1, 1, stage, state, None, ("a.jpg",), "t2")
    return SeenJob(now, KnownJob("j", 1, "t", stage, state, None, None, None, "t2", merged))


OPEN = job("annotation", "new")
REJECTED = job("annotation", "rejected")
SUBMITTED = job("validation", "new")
ACCEPTED = job("acceptance", "completed")
ACCEPTED_AGAIN = job("acceptance", "completed", "t1")
MERGED = job("acceptance", "completed", "t2")
V2 = DatasetVersion("v", 2, None, 1, 1, "k")

TABLE = [
    # standing, what run does, what status says
    (NOTHING, None, "dataengine sample"),
    (SAMPLED, "filter", "dataengine filter"),
    (replace(SAMPLED, has_model=True), "filter", "dataengine filter"),
    (replace(SAMPLED, waiting_frames=3), "upload", "dataengine upload"),
    (replace(SAMPLED, waiting_frames=3, has_model=True), "preannotate", "dataengine preannotate"),
    (replace(SAMPLED, waiting_frames=3, has_model=True, proposed=True), "upload", "dataengine upload"),
    # Pictures that came alone are chosen and annotated without any sampling.
    (replace(NOTHING, waiting_frames=3), "upload", "dataengine upload"),
    (replace(NOTHING, jobs=(ACCEPTED,)), "export", "dataengine export"),
    (replace(NOTHING, jobs=(MERGED,), version=V2, model_version=2), None, "dataengine sample"),
    # People are at work: run waits, unless somebody is done.
    *((replace(SAMPLED, jobs=(one,)), None, "dataengine review list") for one in (OPEN, REJECTED, SUBMITTED)),
    (replace(SAMPLED, jobs=(ACCEPTED,)), "export", "dataengine export"),
    (replace(SAMPLED, jobs=(ACCEPTED_AGAIN,)), "export", "dataengine export"),
    (replace(SAMPLED, jobs=(OPEN, ACCEPTED)), "export", "dataengine review list"),
    (replace(SAMPLED, jobs=(OPEN, MERGED), version=V2), None, "dataengine review list"),
    # What people have said on the server comes before what they are asked for.
    (replace(SAMPLED, jobs=(OPEN, SUBMITTED), to_sync=1), None, "dataengine sync"),
    (replace(SAMPLED, waiting_frames=3, jobs=(OPEN,), to_sync=1), "upload", "dataengine upload"),
    # New frames go up while others are annotated.
    (replace(SAMPLED, waiting_frames=3, jobs=(OPEN, ACCEPTED)), "upload", "dataengine upload"),
    (replace(SAMPLED, jobs=(MERGED,), version=V2), "convert", "dataengine convert"),
    # An export that was killed after its record.
    (replace(SAMPLED, jobs=(MERGED,), version=V2, written=False), "export", "dataengine export"),
    (replace(SAMPLED, jobs=(OPEN, MERGED), version=V2, written=False), "export", "dataengine review list"),
    (replace(SAMPLED, jobs=(MERGED,), version=V2, converted=True), "retrain", "dataengine retrain"),
    (replace(SAMPLED, jobs=(MERGED,), version=V2, model_version=1), "convert", "dataengine convert"),
    (replace(SAMPLED, jobs=(MERGED,), version=V2, model_version=2), "filter", "dataengine filter"),
    (replace(SAMPLED, jobs=(MERGED,), version=V2, model_version=2, converted=True), "filter", "dataengine filter"),
    # A training that was killed before anything was decided about its model.
    (replace(SAMPLED, jobs=(MERGED,), version=V2, model_version=2, undecided=True), "promote", "dataengine promote"),
    (replace(SAMPLED, jobs=(OPEN,), version=V2, model_version=2, undecided=True), None, "dataengine review list"),
]


@pytest.mark.parametrize(("now", "step", "command"), TABLE)
def test_what_comes_next(now: Standing, step: str | None, command: str) -> None:
    assert _next(now, proposed=False) == step
    assert now.next() == command


def test_proposals_are_made_once_before_an_upload() -> None:
    assert _next(replace(SAMPLED, waiting_frames=3, has_model=True), proposed=True) == "upload"


def test_in_no_state_does_run_do_other_than_status_says_unless_people_are_at_work() -> None:
    """Over all combinations: the two tables cannot drift apart."""
    seen = 0
    yes_and_no = (False, True)
    for frames, waiting, jobs, version, trained, *rest in product(
        (0, 9), (0, 3), ((), (OPEN,), (ACCEPTED,), (MERGED,)), (None, V2), (0, 2), *[yes_and_no] * 4
    ):
        now = Standing(0, frames, None, waiting, jobs, version, trained, *rest)
        step = _next(now, proposed=False)
        if step is None:
            assert now.next() in ("dataengine review list", "dataengine sample")
        elif now.open_jobs and step == "export":
            # While people are at work run mends what is unwritten; status points at the people.
            assert now.next() == "dataengine review list"
        else:
            assert now.next() == f"dataengine {step}"
        seen += 1
    assert seen == 2 * 2 * 4 * 2 * 2 * 2**4


def test_job_counts() -> None:
    now = replace(SAMPLED, jobs=(OPEN, REJECTED, SUBMITTED, ACCEPTED, ACCEPTED_AGAIN, MERGED))
    assert (now.open_jobs, now.unmerged) == (3, 2)


def test_an_interrupted_upload_is_what_comes_next(workspace, monkeypatch) -> None:
    """Frames of a task that was planned but never made still wait, for status and for run."""
    engine = workspace.open(filter={"budget": 4}, upload={"task_size": 2, "job_size": 2})
    folder = workspace.draw("in", range(6))
    filter_frames(engine, input=folder)
    assert standing(engine).waiting_frames == 4

    backend = engine.backend()
    real = backend.create_task

    def interrupted(spec):
        if backend.tasks():
            raise KeyboardInterrupt
        return real(spec)

    backend.create_task = interrupted
    with monkeypatch.context() as patched:
        patched.setattr(engine, "backend", lambda: backend)
        with pytest.raises(KeyboardInterrupt):
            upload(engine)
    now = standing(engine)
    assert (now.waiting_frames, len(now.jobs), now.next()) == (2, 1, "dataengine upload")
    report = run(engine)
    assert [row["step"] for row in report.rows] == ["upload"]
    now = standing(engine)
    assert (now.waiting_frames, len(now.jobs), now.next()) == (0, 2, "dataengine review list")
