"""What is accepted is what people accepted: kills, edits and other people's words."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
import sqlalchemy as sa

from data_engine.app.annotation import review
from data_engine.app.annotation.jobs import refresh
from data_engine.app.annotation.sync import keep_syncing, sync
from data_engine.app.annotation.upload import upload
from data_engine.app.merge.export import export
from data_engine.errors import ConflictError, DamagedInputError, UsageError
from data_engine.lineage.tables import acceptance_intents, acceptances, reviews
from data_engine.lineage.tables import accepted as boxes
from data_engine.types import Box, Failed

PEOPLE = ("ann", "ben", "rea", "rob", "lea")
UPLOAD = {"task_name": "Night", "task_size": 8, "job_size": 2, "assignee": ("ann", "ben")}
ONE = {"reviewer": ("rea",)}
TWO = {"reviewer": ("rea",), "two_level": True, "lead": "lea"}


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("cvat_sdk", reason="the client of CVAT is not installed")
    from cvat_server import CvatServer

    with CvatServer(seed=7) as running:
        for name in PEOPLE:
            running.state.add_user(name, f"password-of-{name}", email=f"{name}@example.com")
        yield running


@pytest.fixture(params=["local", pytest.param("cvat", marks=pytest.mark.required)])
def opened(workspace, request):
    """Opens the workspace with settings; 4 jobs of 2 frames with a box each are up, 1 and 3 ann's, 2 and 4 ben's."""
    sections = {}
    if request.param == "cvat":
        from cvat_server import ADMIN

        url = request.getfixturevalue("server").url
        account = {"url": url, "username": ADMIN[0], "password": ADMIN[1], "patience": 60.0}
        sections = {"annotation": {"backend": "cvat"}, "cvat": account | {"project": f"keep {uuid.uuid4().hex[:8]}"}}

    def open_it(**more):
        return workspace.open(**sections, **more)

    engine = open_it(upload=UPLOAD)
    upload(engine, frames=workspace.draw("in", range(8)))
    for job in engine.backend().jobs():
        draw(engine, job.id)
    return open_it


def draw(engine, job, x=3.0):
    """Somebody draws one box on each of the job's frames, and nothing else is there."""
    backend = engine.backend()
    box = (Box("person", (x, 4.0, 12.0, 10.0)),)
    backend.put_annotations(job, dict.fromkeys(backend.job(job).frame_names, box))


def first(engine):
    return engine.backend().jobs()[0].id


def standing(engine, job):
    now = engine.backend().job(job)
    return now.stage, now.state, now.assignee


def put(engine, job, **change):
    engine.backend().update_job(job, **change)


def rows(engine, table, *columns):
    with engine.database.read() as connection:
        return sorted(
            tuple(getattr(row, name) or "" for name in columns) for row in connection.execute(sa.select(table))
        )


def decisions(engine):
    return [row for row in rows(engine, reviews, "action", "actor") if row[0] != "submitted"]


def to_review(engine, job):
    """Its annotator completes the job, and its reviewer has it."""
    put(engine, job, state="completed")
    sync(engine)


def killed_after(engine, monkeypatch, call):
    """The change takes effect, and the process is gone before it hears of it."""
    backend = engine.backend()
    update = backend.update_job

    def last(job_id, **change):
        update(job_id, **change)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(backend, "update_job", last)
        patch.setattr(engine, "backend", lambda: backend)
        with pytest.raises(Killed):
            call()


@pytest.mark.parametrize(
    ("command", "edited", "then"),
    [("sync", True, "export"), ("sync", False, "sync"), ("accept", True, "sync"), ("accept", False, "export")],
)
def test_killed_between_the_acceptance_and_its_record(command, edited, then, opened, monkeypatch):
    engine = opened(sync=ONE)
    job = first(engine)
    to_review(engine, job)
    if command == "sync":
        put(engine, job, state="completed")
        killed_after(engine, monkeypatch, lambda: sync(engine))
    else:
        killed_after(engine, monkeypatch, lambda: review.accept(engine, [job], by="rob"))
    assert standing(engine, job)[:2] == ("acceptance", "completed")
    if edited:
        draw(engine, job, x=20.0)
    engine = opened(sync=ONE)
    if then == "export":
        # Another accepted job, for an export has to have something.
        put(engine, engine.backend().jobs()[1].id, stage="acceptance", state="completed")
    report = sync(engine) if then == "sync" else export(engine)
    if edited:
        assert standing(engine, job) == ("validation", "new", "rea")
        assert report.data.get("changed_after_acceptance" if then == "sync" else "jobs_back_to_review") == 1
    else:
        assert standing(engine, job)[:2] == ("acceptance", "completed")
        assert sync(engine).data["moved"] == 0
        export(engine)
        by = "rea" if command == "sync" else "rob"
        assert ("accepted", by) in decisions(engine)
        assert [row for row in decisions(engine) if row[1]] == [("accepted", by)]
        assert (by,) in rows(engine, acceptances, "accepted_by")
        assert set(rows(engine, boxes, "reviewer")) <= {(by,), ("",)}
        assert (by,) in rows(engine, boxes, "reviewer")
    assert rows(engine, acceptance_intents, "id") == []


def test_an_intent_that_came_to_nothing_is_not_believed(opened, monkeypatch):
    """Killed before the job was changed; then it was rejected, corrected and accepted by hand: first look counts."""
    engine = opened(sync=ONE)
    job = first(engine)
    to_review(engine, job)
    put(engine, job, state="completed")
    backend = engine.backend()

    def never(*_job, **_change):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(backend, "update_job", never)
        patch.setattr(engine, "backend", lambda: backend)
        with pytest.raises(Killed):
            sync(engine)
    assert len(rows(engine, acceptance_intents, "id")) == 1
    put(engine, job, state="rejected")
    sync(engine)
    draw(engine, job, x=20.0)
    put(engine, job, stage="acceptance", state="completed")
    assert sync(engine).data["moved"] == 0
    assert export(engine).data["boxes"] == 2


def test_export_compares_what_it_reads_with_what_was_accepted(opened, monkeypatch):
    """A save in the moment before the acceptance: the job has the date of the acceptance, and no later one."""
    engine = opened(sync=ONE)
    job, other = (entry.id for entry in engine.backend().jobs()[:2])
    for number in (job, other):
        put(engine, number, state="completed")
    sync(engine)
    backend = engine.backend()
    read = backend.annotations

    def before(number):
        content = read(number)
        if number != job:
            return content
        return replace(content, boxes=dict.fromkeys(content.boxes, ()))

    with monkeypatch.context() as patch:
        patch.setattr(backend, "annotations", before)
        patch.setattr(engine, "backend", lambda: backend)
        put(engine, job, state="completed")
        assert sync(engine).data["accepted"] == 1
        review.accept(engine, [other], by="rea")
    report = export(opened(sync=ONE))
    assert (report.data["frames"], report.data["jobs_back_to_review"], report.data["jobs_merged"]) == (2, 1, 1)
    assert f"job {job}: changed after acceptance, so not merged and back in validation with rea" in report.notes
    assert standing(engine, job) == ("validation", "new", "rea")
    put(engine, job, state="completed")
    sync(engine)
    assert export(opened(sync=ONE)).data["frames"] == 4


def test_who_accepted_is_told_and_nobody_else(opened):
    engine = opened(sync=ONE)
    local = engine.backend().name == "local"
    one, two, three, four = (job.id for job in engine.backend().jobs())
    for job in (one, two, three, four):
        put(engine, job, state="completed")
    sync(engine)
    # By command, in nobody's name: on a server it is this program's account; rea had it, and never looked.
    review.accept(engine, [one])
    # By hand by somebody: rea has it, and it was not she who completed it.
    put(engine, two, stage="acceptance", state="completed")
    # By hand after she completed it, and a sync saw that.
    put(engine, three, state="completed")
    refresh(engine, engine.backend())
    put(engine, three, stage="acceptance", state="completed")
    export(engine)
    account = "" if local else "admin"
    names = {seen.known.id: seen.job.id for seen in refresh(engine, engine.backend())}
    found = {names[job]: who for job, who in rows(engine, boxes, "job_id", "reviewer")}
    assert found == {one: account, two: "", three: "rea"}
    assert decisions(engine) == sorted([("accepted", account), ("accepted", "rea")])
    shown = review.show(engine, two).data
    assert "reviewer" not in shown
    assert review.show(engine, three).data["reviewer"] == "rea"


@pytest.mark.parametrize("then", ["sync", "export"])
def test_the_lead_s_word_is_recorded_whoever_comes_first(then, opened):
    engine = opened(sync=TWO)
    job = first(engine)
    to_review(engine, job)
    put(engine, job, state="completed")
    sync(engine)
    put(engine, job, state="completed")
    (sync if then == "sync" else export)(engine)
    sync(engine)
    export(engine)
    assert decisions(engine) == [("accepted", "lea"), ("accepted", "rea")]
    assert set(rows(engine, boxes, "reviewer")) == {("lea",)}


def test_on_two_levels_accept_by_anybody_else_goes_to_the_lead(opened):
    engine = opened(sync=TWO)
    job, other = (entry.id for entry in engine.backend().jobs()[:2])
    to_review(engine, job)
    report = review.accept(engine, [job], by="rea")
    assert (report.title, report.data) == ("1 job to the lead", {"accepted": [], "to_the_lead": [job]})
    assert standing(engine, job) == ("acceptance", "new", "lea")
    with pytest.raises(ConflictError, match="waits for the second look") as told:
        review.accept(engine, [job], by="rea")
    assert told.value.hint == f"dataengine review accept {job} --by lea"
    assert review.accept(engine, [job], by="lea").title == "1 job accepted"
    assert export(engine).data["jobs_merged"] == 1
    assert decisions(engine) == [("accepted", "lea"), ("accepted", "rea")]
    # The lead has it, and somebody else accepts it: by command before there were two levels.
    once = opened(sync=ONE)
    to_review(once, other)
    put(once, other, assignee="lea")
    review.accept(once, [other], by="rea")
    with pytest.raises(ConflictError, match="accepted without the second look"):
        review.accept(opened(sync=TWO), [other], by="lea")
    report = export(opened(sync=TWO))
    assert (report.data["jobs_back_to_review"], report.data["new"]) == (1, False)
    assert any(f"job {other}: not seen by the lead, so not merged" in note for note in report.notes)


def test_two_levels_need_their_lead_and_the_file(opened, workspace):
    engine = opened(sync={"two_level": True})
    for command in (sync, export):
        with pytest.raises(UsageError, match="nobody is named") as told:
            command(engine)
        assert "--lead NAME" in told.value.hint
    engine = opened(sync={"lead": "lea"})
    with pytest.raises(UsageError, match="--lead lea") as told:
        sync(engine)
    assert "--two-level" in told.value.hint
    engine = opened(sync=TWO)
    assert any("hold for this command only" in note for note in sync(engine).notes)
    file = workspace.root / "dataengine.toml"
    file.write_text(file.read_text() + '\n[sync]\ntwo_level = true\nlead = "lea"\n')
    assert sync(engine).notes == ()
    file.write_text(file.read_text().replace("two_level = true\n", ""))
    assert any('lead = "lea" in [sync] does nothing' in note for note in sync(opened()).notes)


def test_a_rejection_takes_no_reason_of_an_earlier_round(opened):
    engine = opened(sync=ONE)
    backend, job = engine.backend(), first(engine)
    to_review(engine, job)
    backend.add_issue(job, "too loose")
    put(engine, job, state="rejected")
    sync(engine)
    to_review(engine, job)
    put(engine, job, state="rejected")
    sync(engine)
    assert rows(engine, reviews, "action", "reason")[:2] == [("rejected", ""), ("rejected", "too loose")]


def test_a_job_that_is_set_back_by_hand_goes_to_its_annotator(opened):
    engine = opened(sync=ONE)
    job = first(engine)
    to_review(engine, job)
    put(engine, job, stage="annotation", state="new")
    assert standing(engine, job) == ("annotation", "new", "rea")
    refresh(engine, engine.backend())
    report = sync(engine)
    assert report.title == "1 job moved on: 1 set back to annotation and now with their annotator"
    assert standing(engine, job) == ("annotation", "new", "ann")
    assert sync(engine).data["moved"] == 0
    # Given to somebody else on purpose, it is theirs.
    put(engine, job, assignee="ben")
    assert sync(engine).data["moved"] == 0
    to_review(engine, job)
    assert {seen.known.annotator for seen in refresh(engine, engine.backend()) if seen.job.id == job} == {"ben"}


def test_a_hand_in_that_met_a_click_is_recorded_once(opened, monkeypatch):
    engine = opened(sync=ONE)
    job, backend = first(engine), engine.backend()
    put(engine, job, state="completed")
    update = backend.update_job

    def late(job_id, **change):
        monkeypatch.undo()
        draw(engine, job)  # once more, and it stays completed
        return update(job_id, **change)

    monkeypatch.setattr(backend, "update_job", late)
    monkeypatch.setattr(engine, "backend", lambda: backend)
    assert "was changed by somebody at the same moment" in " ".join(sync(engine).notes)
    assert sync(engine).data["moved"] == 1
    assert rows(engine, reviews, "action", "actor") == [("submitted", "ann")]


def test_every_round_says_what_changed_only(opened, monkeypatch):
    engine = opened(sync={"reviewer": ("ann", "rea")})
    one, two, *_ = (job.id for job in engine.backend().jobs())
    lines, rounds = [], iter(range(9))
    monkeypatch.setattr(engine.progress, "note", lines.append, raising=False)
    monkeypatch.setattr("data_engine.app.annotation.sync.sync", lambda _engine: replace(reports.pop(0)))
    engine_sync = sync
    put(engine, one, state="completed")
    moved = engine_sync(engine)
    still = replace(moved, rows=(), notes=("it stays",), failures=(Failed("job 7", "broken"),))
    reports = [still, replace(moved, notes=("it stays", "new")), still, still]

    def wait():
        if next(rounds) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_syncing(engine, wait)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "it stays; job 7: broken",
        "1 job moved on: 1 to review; new",
        "job 7: broken",
    ]
    assert two


def test_sync_counts_as_status_does_what_an_export_could_not_merge(opened, monkeypatch):
    engine = opened(sync={"reviewer": ("rea",), "export": True})
    job, other = (entry.id for entry in engine.backend().jobs()[:2])
    for _ in ("by the annotators", "by the reviewer"):
        assert sync(engine).data["accepted_not_merged"] == 0
        for number in (job, other):
            put(engine, number, state="completed")
    backend = engine.backend()
    read, times = backend.annotations, iter(range(9))

    def annotations(number):
        # Accepted, and then not to be read by the export.
        if number == job and next(times):
            raise DamagedInputError("its frames cannot be read")
        return read(number)

    monkeypatch.setattr(backend, "annotations", annotations)
    monkeypatch.setattr(engine, "backend", lambda: backend)
    report = sync(engine)
    assert (report.data["accepted"], report.data["dataset_version"]) == (2, "v1")
    assert [failure.input_id for failure in report.failures] == [f"job {job}"]
    assert report.data["accepted_not_merged"] == 1


def test_frames_that_left_say_until_when_beside_others_that_were_withheld(opened, monkeypatch):
    engine = opened()
    one, two, three, _four = (job.id for job in engine.backend().jobs())
    review_all = [one, two, three]
    for job in review_all:
        put(engine, job, stage="acceptance", state="completed")
    assert export(engine).data["frames"] == 6
    review.reject(engine, one, "look again", by="rea")
    review.reject(engine, two, "look again", by="rea")
    put(engine, two, stage="acceptance", state="completed")
    backend = engine.backend()
    read = backend.annotations

    def annotations(job):
        content = read(job)
        gone = next(iter(content.boxes))
        boxes = {name: rows for name, rows in content.boxes.items() if name != gone}
        return content if job != two else replace(content, boxes=boxes, deleted=frozenset([gone]))

    monkeypatch.setattr(backend, "annotations", annotations)
    monkeypatch.setattr(engine, "backend", lambda: backend)
    notes = " | ".join(export(engine).notes)
    assert "2 frames left the dataset until their jobs are accepted again" in notes
    assert "1 frame left the dataset, for an accepted job does not give them any more" in notes
