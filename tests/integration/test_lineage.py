"""Lineage on SQLite and on a real PostgreSQL: the same suite on both."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction

import pytest
import sqlalchemy as sa

from data_engine.errors import ConflictError, DamagedInputError
from data_engine.lineage import (
    choices,
    datasets,
    embeddings,
    footage,
    labelling,
    migrate,
    models,
    tables,
    uploads,
    videos,
    work,
)
from data_engine.lineage.database import Database
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.uploads import PlannedTask
from data_engine.lineage.videos import NearDuplicate
from data_engine.lineage.work import Run
from data_engine.runner import Runner, settings_of
from data_engine.selection.splits import make_plan
from data_engine.types import (
    Annotation,
    Box,
    DatasetVersion,
    Failed,
    Frame,
    Job,
    Model,
    Sampled,
    SampledFrame,
    SelectedFrame,
    Selection,
    TaskFrame,
    TaskSpec,
    Video,
    content_id,
)

NOW = "2026-01-01T00:00:00+00:00"


def video(name: str = "cam") -> Video:
    return Video(
        content_id(name), f"videos_raw/{name}.mp4", name, name, 10, 64, 48, "h264", Fraction(30000, 1001), 12.5
    )


def frame(number: int, of: Video | None = None) -> Frame:
    return Frame(
        id=content_id("frame", number),
        name=f"cam_{number:06d}_x.jpg",
        key=f"frames_sampled/cam_{number:06d}_x.jpg",
        width=64,
        height=48,
        camera="cam",
        video_id=None if of is None else of.id,
        pts=None if of is None else number * 1001,
        time_base=None if of is None else Fraction(1, 30000),
        dhash=(1 << 64) - 1 - number,
    )


def a_run(connection, stage: str = "sample") -> Run:
    run = Run(content_id("run", stage), stage, content_id("fingerprint", stage), {"a": 1}, "0")
    work.start(connection, run, NOW)
    return run


def test_a_video_and_its_frames_come_back_as_they_were(database):
    cam = video()
    frames = [frame(1, cam), frame(2, cam)]
    with database.write() as connection:
        footage.add_videos(connection, [cam])
        footage.add_frames(connection, frames)
        footage.add_frames(connection, frames)
    with database.read() as connection:
        assert footage.videos_by_id(connection, [cam.id]) == {cam.id: cam}
        assert footage.frames_by_id(connection, [f.id for f in frames]) == {f.id: f for f in frames}
        assert footage.count(connection) == {"videos": 1, "frames": 2, "sampled": 0}


def probed(name: str = "cam") -> Video:
    return replace(
        video(name),
        pixel_format="yuv420p10le",
        variable_rate=True,
        audio=False,
        rotation=270,
        interlaced=False,
        captured_at="2026-11-20T08:00:00+01:00",
        venue="Halle 3 \uef80",
        event="Messe\n2026",
        crop=(0, 12, 64, 24),
    )


def test_all_that_was_found_out_about_a_video_comes_back(database):
    found = [probed(), replace(probed("b"), crop=None, interlaced=None, audio=True), replace(probed("c"), crop=None)]
    with database.write() as connection:
        footage.add_videos(connection, found[:2], searched=True)
        footage.add_videos(connection, found[2:])
    with database.read() as connection:
        assert footage.videos_by_id(connection, [v.id for v in found]) == {v.id: v for v in found}
        # Without borders, and not searched for borders, are not the same.
        assert footage.searched_for_borders(connection, [v.id for v in found]) == {found[0].id, found[1].id}


def test_what_is_said_of_a_video_changes_nothing_else(database):
    before, other = probed(), probed("other")
    after = replace(before, camera="gate", venue=None, event="fair", captured_at="2026-01-01", crop=None, width=1)
    with database.write() as connection:
        footage.add_videos(connection, [before, other], searched=True)
        videos.describe(connection, [after])
        videos.describe(connection, [])
    with database.read() as connection:
        assert footage.videos_by_id(connection, [before.id, other.id]) == {
            before.id: replace(after, crop=before.crop, width=before.width),
            other.id: other,
        }


def test_signatures_are_kept_by_method(database):
    cams = [video(name) for name in "abc"]
    with database.write() as connection:
        footage.add_videos(connection, cams)
        videos.add_signatures(connection, "phash-8-5", {cams[0].id: b"\x00\xff", cams[1].id: b""})
        videos.add_signatures(connection, "phash-16-5", {cams[0].id: b"other"})
        videos.add_signatures(connection, "phash-8-5", {cams[0].id: b"\x00\xfe"})
    with database.read() as connection:
        assert videos.signatures(connection, "phash-8-5") == {cams[0].id: b"\x00\xfe", cams[1].id: b""}
        assert videos.signed(connection, "phash-8-5", [cam.id for cam in cams]) == {cams[0].id, cams[1].id}
    with database.write() as connection:
        videos.forget_signatures(connection, [cams[0].id])
    with database.read() as connection:
        assert videos.signatures(connection, "phash-8-5") == {cams[1].id: b""}
        assert videos.signatures(connection, "phash-16-5") == {}


def test_a_map_of_near_duplicates_is_replaced_as_a_whole(database):
    a, b, c = (video(name).id for name in "abc")
    with database.write() as connection:
        footage.add_videos(connection, [video(name) for name in "abc"])
        videos.replace_near_duplicates(connection, "other", [NearDuplicate(a, b, 1.0)])
        videos.replace_near_duplicates(connection, "phash-8-5", [NearDuplicate(a, b, 1.0), NearDuplicate(c, b, 0.25)])
        videos.replace_near_duplicates(connection, "phash-8-5", [NearDuplicate(b, a, 2.5)])
    with database.read() as connection:
        assert videos.near_duplicates(connection, "phash-8-5") == [NearDuplicate(b, a, 2.5)]
        assert videos.near_duplicates(connection, "other") == [NearDuplicate(a, b, 1.0)]


def test_the_signed_column_keeps_all_64_bits_of_a_hash(database):
    hashes = [0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
    frames = [Frame(content_id("h", h), f"{h}.jpg", f"{h}.jpg", 1, 1, "c", dhash=h) for h in hashes]
    with database.write() as connection:
        footage.add_frames(connection, frames)
    with database.read() as connection:
        assert {f.dhash for f in footage.frames_by_id(connection, [f.id for f in frames]).values()} == set(hashes)


def test_what_sampling_kept_is_recorded_once_however_often_it_is_told(database):
    cam = video()
    cropped = replace(frame(2, cam), crop=(0, 4, 64, 40))
    kept = (
        SampledFrame(frame(1, cam), f"{1:064d}", 0.5, 2.5, "changed"),
        SampledFrame(cropped, f"{2:064d}", None),
    )
    outcome = Sampled(cam, kept, 100)
    stamps = {k.frame.key: "1-1" for k in kept}
    for _ in range(2):
        with database.write() as connection:
            footage.add_videos(connection, [cam])
            footage.record_sampled(connection, "f" * 32, outcome, stamps)
    with database.read() as connection:
        assert footage.sampled_keys(connection, "f" * 32) == {cam.id: [k.frame.key for k in kept]}
        assert {f.id: f for f in footage.sampled_frames(connection)} == {k.frame.id: k.frame for k in kept}
        table = tables.sampled.c
        rows = connection.execute(sa.select(table.frame_id, table.similarity, table.weight, table.reason))
        assert {tuple(row) for row in rows} == {(k.frame.id, k.similarity, k.weight, k.reason) for k in kept}
        assert footage.files_by_hash(connection, [kept[0].sha256])[kept[0].sha256].frame_id == kept[0].frame.id


def test_done_work_is_known_by_its_fingerprint_only(database):
    with database.write() as connection:
        run = a_run(connection)
        work.record(connection, run, "done", {"a": "remark"})
        work.record(connection, run, "failed", {"b": "broken"})
    with database.read() as connection:
        assert work.done(connection, run.fingerprint, ["a", "b", "c"]) == {"a": "remark"}
        assert work.done(connection, "other", ["a"]) == {}


def test_class_ids_once_given_never_change(database):
    with database.write() as connection:
        models.add_classes(connection, ["person", "helmet"])
    with database.write() as connection:
        models.add_classes(connection, ["boot", "helmet", "person"])
    with database.read() as connection:
        registry = models.registry(connection)
    assert [(c.id, c.name) for c in registry] == [(1, "person"), (2, "helmet"), (3, "boot")]


def test_a_model_that_was_trained_here_after_it_came_from_elsewhere_gets_its_history(database):
    model = Model("m" * 32, "yolo", "models/x.onnx", ("a",))
    version = DatasetVersion("v" * 32, 1, None, 0, 0, "master_dataset/master_dataset_v1.json")
    with database.write() as connection:
        run = a_run(connection)
        models.add_model(connection, model, run_id=None, weights_key=None, registered_at=NOW)
        datasets.add_version(connection, version, run_id=run.id, created_at=NOW)
        trained = Model(model.id, "yolo", "models/y.onnx", ("a",), version.id, None, {"map50": 0.5})
        models.add_model(connection, trained, run_id=run.id, weights_key="models/y.pt", registered_at=NOW)
        models.add_model(connection, model, run_id=None, weights_key=None, registered_at=NOW)
    with database.read() as connection:
        assert models.by_id(connection, model.id) == trained
        assert models.trained(connection) == [(trained, 1)]
        assert models.weights_of(connection, model.id) == "models/y.pt"


def test_predictions_are_found_by_model_and_frame(database):
    frames = [frame(n) for n in range(3)]
    with database.write() as connection:
        footage.add_frames(connection, frames)
        models.add_model(connection, Model("m", "yolo", "k", ("a",)), run_id=None, weights_key=None, registered_at=NOW)
        models.record_predictions(connection, "m", [frames[2].id, frames[0].id], "part.npz")
    with database.read() as connection:
        found = models.predicted(connection, "m", [f.id for f in frames])
    assert found == {frames[2].id: ("part.npz", 0), frames[0].id: ("part.npz", 1)}


def test_a_selection_keeps_its_number_until_an_older_one_is_made_again(database):
    frames = [frame(n) for n in range(2)]
    first = Selection("s1", None, (SelectedFrame(frames[1].id, 1, 0.5, "diverse", {"distance": 0.5}),))
    second = Selection("s2", None, (SelectedFrame(frames[0].id, 1, 0.5, "diverse", {}),))
    with database.write() as connection:
        footage.add_frames(connection, frames)
        run = a_run(connection, "filter")
        numbers = [
            choices.record(connection, s, run_id=run.id, pool_size=2) for s in (first, first, second, second, first)
        ]
    assert numbers == [1, 1, 2, 2, 3]
    with database.read() as connection:
        # What lies on the disk is what was chosen last.
        assert choices.latest(connection) == first
        assert choices.count(connection) == {"selections": 2, "chosen": 2}


def plan(uid: str, frames: list[Frame], position: int) -> PlannedTask:
    box = Box("person", (1.0, 2.0, 3.5, 4.25), 0.5, content_id("p", uid), False, {"occluded": True})
    pictures = tuple(
        TaskFrame(f.name, f.key, f.width, f.height, (box,) if i == 0 else ()) for i, f in enumerate(frames)
    )
    return PlannedTask(
        TaskSpec(uid, f"Batch ({position + 1}/12)", ("person",), pictures, 2, None), ("a", "b"), position
    )


def test_a_planned_task_waits_until_it_exists_and_is_rebuilt_as_it_was(database):
    frames = [frame(n) for n in range(8)]
    plans = [plan(content_id("t", n), frames[4 * n : 4 * n + 4], 10 * n) for n in (1, 0)]
    with database.write() as connection:
        footage.add_frames(connection, frames)
        run = a_run(connection, "upload")
        for planned in plans:
            uploads.plan_task(
                connection,
                planned,
                backend="local",
                run_id=run.id,
                frame_ids={f.name: f.id for f in frames},
                model_id=None,
            )
    with database.read() as connection:
        waiting = uploads.pending_ids(connection, "local")
        assert [uploads.planned_task(connection, uid) for uid in waiting] == plans[::-1]
        assert uploads.frames_in_tasks(connection, "local") == {f.id for f in frames}
        assert uploads.task_numbers(connection, "local") == {}
    with database.write() as connection:
        uploads.task_created(connection, plans[0].spec.uid, 7)
    with database.read() as connection:
        assert uploads.pending_ids(connection, "local") == [plans[1].spec.uid]
        assert uploads.task_numbers(connection, "local") == {7: plans[0].spec.uid}


def test_a_job_remembers_who_annotated_and_who_reviewed(database):
    frames = [frame(0)]
    planned = plan("t" * 32, frames, 0)

    def seen(stage, state, assignee, second):
        return Job(3, 7, stage, state, assignee, (frames[0].name,), f"2026-01-01T00:00:0{second}+00:00")

    with database.write() as connection:
        footage.add_frames(connection, frames)
        run = a_run(connection, "upload")
        names = {frames[0].name: frames[0].id}
        uploads.plan_task(connection, planned, backend="local", run_id=run.id, frame_ids=names, model_id=None)
        uploads.task_created(connection, planned.spec.uid, 7)
        told = [
            seen("annotation", "new", None, "1"),
            seen("annotation", "completed", "ann", "2"),
            seen("validation", "new", "rev", "3"),
            seen("acceptance", "completed", "rev", "4"),
        ]
        for job in told:
            (known,) = labelling.record_jobs(connection, "local", planned.spec.uid, [job])
        assert (known.annotator, known.reviewer, known.merged_at) == ("ann", "rev", None)
        labelling.mark_merged(connection, [known])
        (again,) = labelling.record_jobs(connection, "local", planned.spec.uid, [told[-1]])
        assert again.merged_at == told[-1].updated_at
        labelling.record_review(connection, again, "accepted", actor="lead", reason=None, now=NOW)
        # Another command that read the job a moment earlier and is only now recording it.
        (late,) = labelling.record_jobs(connection, "local", planned.spec.uid, [told[0]])
        assert (late.stage, late.state, late.updated_at) == ("acceptance", "completed", told[-1].updated_at)
    with database.read() as connection:
        (kept,) = labelling.record_jobs(connection, "local", planned.spec.uid, [told[-1]])
        assert kept.reviewer == "lead"
        assert uploads.count_tasks(connection) == 1


@pytest.mark.parametrize(
    ("told", "people"),
    [
        # Left with whom it was given to; who sent it on, and who accepted it, need not be him.
        ([("annotation", "alice"), ("validation", "alice"), ("acceptance", "alice")], ("alice", None)),
        ([("annotation", "alice"), ("submitted", "bob"), ("validation", "alice")], ("bob", None)),
        (
            [("annotation", "alice"), ("submitted", "bob"), ("validation", "alice"), ("validation", "rev")],
            ("bob", "rev"),
        ),
        ([("annotation", "alice"), ("validation", "rev"), ("acceptance", "rev")], ("alice", "rev")),
        ([("annotation", None), ("validation", "alice"), ("acceptance", "alice")], (None, None)),
        ([("annotation", None), ("submitted", "bob"), ("validation", None), ("acceptance", "rev")], ("bob", "rev")),
        ([("acceptance", "alice")], (None, None)),
        ([("annotation", "alice"), ("validation", "rev"), ("annotation", "alice")], ("alice", None)),
    ],
)
def test_a_reviewer_is_who_was_assigned_after_the_annotation(database, told, people):
    frames = [frame(0)]
    planned = plan("t" * 32, frames, 0)
    with database.write() as connection:
        footage.add_frames(connection, frames)
        run = a_run(connection, "upload")
        names = {frames[0].name: frames[0].id}
        uploads.plan_task(connection, planned, backend="local", run_id=run.id, frame_ids=names, model_id=None)
        for second, (stage, who) in enumerate(told):
            if stage == "submitted":
                labelling.record_review(connection, known, "submitted", actor=who, reason=None, now=NOW)  # noqa: F821
                continue
            job = Job(3, 7, stage, "new", who, (frames[0].name,), f"2026-01-01T00:00:0{second}+00:00")
            (known,) = labelling.record_jobs(connection, "local", planned.spec.uid, [job])
    assert (known.annotator, known.reviewer) == people


def accepted_box(of: Frame, job: str, x: float) -> Annotation:
    return Annotation(content_id(of.id, job, repr(x)), of.id, 1, (x, 1.0, 2.0, 3.0), job)


def test_every_old_version_can_still_be_read(database):
    frames = [frame(n) for n in range(3)]
    planned = plan("t" * 32, frames, 0)
    with database.write() as connection:
        footage.add_frames(connection, frames)
        models.add_classes(connection, ["person"])
        run = a_run(connection, "export")
        names = {f.name: f.id for f in frames}
        uploads.plan_task(connection, planned, backend="local", run_id=run.id, frame_ids=names, model_id=None)
        jobs = [Job(n, 7, "acceptance", "completed", None, tuple(names), "1") for n in (1, 2)]
        first, second = labelling.record_jobs(connection, "local", planned.spec.uid, jobs)
        old = {f.id: [accepted_box(f, first.id, 1.0)] for f in frames[:2]}
        datasets.replace_frames(connection, 1, [DatasetFrame(f.id, first.id, "c1", "train") for f in frames[:2]], old)
        datasets.add_version(connection, DatasetVersion("v1", 1, None, 2, 2, "a"), run_id=run.id, created_at=NOW)
        new = {frames[1].id: [accepted_box(frames[1], second.id, 2.0)], frames[2].id: []}
        datasets.replace_frames(connection, 2, [DatasetFrame(f.id, second.id, "c2", "valid") for f in frames[1:]], new)
        datasets.add_version(connection, DatasetVersion("v2", 2, "v1", 3, 2, "b"), run_id=run.id, created_at=NOW)
    with database.read() as connection:
        assert datasets.boxes_of(connection, 1) == old
        assert set(datasets.frames_of(connection, 1)) == {f.id for f in frames[:2]}
        assert datasets.boxes_of(connection, 2) == {frames[0].id: old[frames[0].id], frames[1].id: new[frames[1].id]}
        assert {f.split for f in datasets.frames_of(connection, 2).values()} == {"train", "valid"}
        assert datasets.latest(connection).label == "v2"
        assert datasets.label_counts(connection) == {"person": 2}
        (first_box,), (second_box,) = old[frames[0].id], new[frames[1].id]
        of_class = datasets.boxes_of_class(connection, 2, 1, 9)
        assert of_class == sorted([first_box, second_box], key=lambda box: box.id)
        assert datasets.boxes_of_class(connection, 2, 1, 1) == of_class[:1]
        assert datasets.boxes_of_class(connection, 2, 7, 9) == []


def test_a_source_keeps_its_split_plan(database):
    made = make_plan("video:x", duration_s=100.0, block_s=60, guard_s=2, fraction=0.2)
    other = make_plan("video:x", duration_s=10.0, block_s=5, guard_s=1, fraction=0.5)
    with database.write() as connection:
        datasets.add_plans(connection, [made])
        datasets.add_plans(connection, [other])
        assert datasets.plans(connection, ["video:x", "video:y"]) == {"video:x": made}


def test_the_runner_commits_batches_and_goes_on_after_a_crash(database, clock):
    runner = Runner(database, clock)
    inputs = [f"{n:032d}" for n in range(10)]
    recorded: list[list[str]] = []

    def outcomes(todo):
        for name in todo:
            yield Failed(name, "broken") if name.endswith("3") else name

    def record(_connection, group):
        recorded.append(list(group))
        if len(recorded) == 2:
            raise RuntimeError("pulled the plug")

    def go():
        with runner.run("test", 1, settings_of({"a": 1}), inputs=inputs) as run:
            done = runner.done(run, inputs)
            todo = [name for name in inputs if name not in done]
            return runner.stream(run, outcomes(todo), input_id=str, record=record, batch=4)

    with pytest.raises(RuntimeError, match="pulled the plug"):
        go()
    with database.read() as connection:
        assert [row.state for row in work.latest(connection, 5)] == ["failed"]
    summary = go()
    assert summary.failed == (Failed(inputs[3], "broken"),)
    assert summary.done == 5
    kept = [name for group in (recorded[0], *recorded[2:]) for name in group]
    assert sorted(kept) == [name for name in inputs if not name.endswith("3")]
    with database.read() as connection:
        (row,) = work.latest(connection, 5)
    assert (row.state, row.attempts) == ("partial", 2)


@pytest.mark.parametrize(("error", "state"), [(ConflictError("no"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_how_a_run_ended_and_that_it_runs_again(database, clock, error, state):
    runner = Runner(database, clock)

    def latest():
        with database.read() as connection:
            (row,) = work.latest(connection, 5)
        return row.state, row.finished_at is None

    def go_wrong():
        with runner.run("test", 1, settings_of({}), inputs=[]):
            assert latest() == ("running", True)
            raise error

    with pytest.raises(type(error)):
        go_wrong()
    assert latest() == (state, False)
    with runner.run("test", 1, settings_of({}), inputs=[]):
        assert latest() == ("running", True)
    assert latest() == ("done", False)


def test_a_reader_sees_one_state(database):
    with database.read() as reading:
        assert footage.count(reading)["frames"] == 0
        with database.write() as writing:
            footage.add_frames(writing, [frame(1)])
        assert footage.count(reading)["frames"] == 0
    with database.read() as reading:
        assert footage.count(reading)["frames"] == 1


def test_writers_come_one_after_the_other(database_url):
    databases = [Database(database_url) for _ in range(4)]
    migrate.ensure(databases[0])
    frames = [frame(n) for n in range(40)]
    with databases[0].write() as connection:
        footage.add_frames(connection, frames)
        run = a_run(connection, "filter")
    problems: list[Exception] = []

    def choose(worker: int) -> None:
        try:
            for n in range(10):
                chosen = Selection(f"{worker}-{n}", None, (SelectedFrame(frames[n].id, 1, 0.0, "r", {}),))
                with databases[worker].write() as connection:
                    choices.record(connection, chosen, run_id=run.id, pool_size=40)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=choose, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with databases[0].read() as connection:
        assert choices.count(connection)["selections"] == 40
    for made in databases:
        made.close()


def test_migrations_go_up_down_and_up_again_and_match_the_schema(database_url):
    database = Database(database_url)
    assert migrate.current(database) is None
    migrate.ensure(database)
    assert (migrate.current(database), migrate.differences(database)) == (migrate.HEAD, [])
    migrate.downgrade(database, "base")
    assert migrate.current(database) is None
    assert migrate.differences(database) != []
    migrate.ensure(database)
    assert (migrate.current(database), migrate.differences(database)) == (migrate.HEAD, [])
    database.close()


def test_a_database_with_footage_goes_up_down_and_up_again(database_url):
    """What release 0001 knew is there after every step; what only a newer one knows goes with its columns."""
    database = Database(database_url)
    migrate.ensure(database)
    migrate.downgrade(database, "0001")
    with database.write() as connection:
        for table, row in _FOOTAGE_OF_0001.items():
            connection.execute(sa.insert(sa.table(table, *map(sa.column, row))).values(row))

    def stored() -> dict[str, list[tuple]]:
        with database.read() as connection:
            return {
                table: [tuple(found) for found in connection.execute(sa.select(sa.table(table, *map(sa.column, row))))]
                for table, row in _FOOTAGE_OF_0001.items()
            }

    rows = {table: [tuple(row.values())] for table, row in _FOOTAGE_OF_0001.items()}
    assert stored() == rows
    for _ in range(2):
        migrate.ensure(database)
        assert (migrate.current(database), migrate.differences(database)) == (migrate.HEAD, [])
        assert stored() == rows
        with database.write() as connection:
            (old,) = footage.videos_by_id(connection, ["v" * 32]).values()
            # It was not probed for what is new.
            assert (old.pixel_format, old.variable_rate, old.audio, old.rotation, old.crop) == (
                None,
                None,
                None,
                0,
                None,
            )
            assert footage.searched_for_borders(connection, [old.id]) == set()
            assert [f.crop for f in footage.sampled_frames(connection)] == [None]
            footage.add_videos(connection, [replace(old, pixel_format="yuv420p", crop=(0, 2, 64, 44))])
            videos.add_signatures(connection, "phash-8-5", {old.id: b"x"})
            videos.replace_near_duplicates(connection, "phash-8-5", [NearDuplicate(old.id, old.id, 0.0)])
        migrate.downgrade(database, "0001")
        assert stored() == rows
    database.close()


_FOOTAGE_OF_0001 = {
    "videos": {
        "id": "v" * 32,
        "key": "videos_raw/cam.mp4",
        "name": "cam",
        "camera": "cam",
        "size_bytes": 5_000_000_000,
        "width": 64,
        "height": 48,
        "codec": "h264",
        "frame_rate": "30000/1001",
        "duration_s": 12.5,
    },
    "frames": {
        "id": "f" * 32,
        "name": "cam_00000001_ffffffff.jpg",
        "key": "frames_sampled/cam_00000001_ffffffff.jpg",
        "width": 64,
        "height": 48,
        "camera": "cam",
        "video_id": "v" * 32,
        "pts": 1 << 40,
        "time_base": "1/30000",
        "dhash": -1,
    },
    "files": {
        "key": "videos_raw/cam.mp4",
        "stamp": "1-1",
        "sha256": "v" * 32,
        "frame_id": None,
        "video_id": "v" * 32,
    },
    "sampled": {
        "fingerprint": "a" * 32,
        "frame_id": "f" * 32,
        "video_id": "v" * 32,
        "key": "frames_sampled/cam_00000001_ffffffff.jpg",
        "similarity": 0.5,
    },
}


def test_two_that_open_an_empty_database_at_once_both_find_it_made(database_url):
    problems: list[Exception] = []

    def open_it() -> None:
        database = Database(database_url)
        try:
            migrate.ensure(database)
        except Exception as error:
            problems.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_database_of_a_newer_release_is_refused(database):
    with database.write() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(ConflictError, match="revision 9999, which this release does not know"):
        migrate.ensure(database)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    file = tmp_path / "lineage.db"
    file.write_text("not a database, but long enough to be looked at " * 100)
    with pytest.raises(DamagedInputError, match="is not a lineage database"):
        migrate.ensure(Database(f"sqlite:///{file}"))


def test_a_password_is_never_shown():
    assert "secret" not in Database("postgresql://me:secret@somewhere/db").shown
    shown = Database("postgresql://me@somewhere/db?password=secret&sslmode=require").shown
    assert shown == "postgresql+psycopg://me@somewhere/db?password=***&sslmode=***"


@pytest.mark.parametrize("all_from", [0, 1000])
def test_where_vectors_lie(database, monkeypatch, all_from):
    monkeypatch.setattr(embeddings, "_ALL_FROM", all_from)
    kept = [frame(number) for number in range(5)]
    ids = [one.id for one in kept]
    with database.write() as connection:
        footage.add_frames(connection, kept)
        embeddings.record(connection, "local-2", ids[:3], "a.npz")
        embeddings.record(connection, "other-1", ids[1:2], "b.npz")
        # Made anew, a frame's vector lies in the new part.
        embeddings.record(connection, "local-2", [ids[3], ids[0]], "c.npz")
    with database.read() as connection:
        assert embeddings.places(connection, "local-2", [ids[4], ids[0], ids[2], ids[3]]) == {
            ids[0]: ("c.npz", 1),
            ids[2]: ("a.npz", 2),
            ids[3]: ("c.npz", 0),
        }
        assert embeddings.places(connection, "other-1", ids) == {ids[1]: ("b.npz", 0)}
        assert embeddings.places(connection, "local-3", ids) == {}
