"""The lineage of things on SQLite and on a real PostgreSQL: one round of the loop, recorded by hand."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
import sqlalchemy as sa

from data_engine.formats.graph import Graph
from data_engine.lineage import choices, datasets, exposure, find, footage, labelling, models, tables, uploads, work
from data_engine.lineage.ancestry import STEPS, ancestry
from data_engine.lineage.ancestry_nodes import KINDS
from data_engine.lineage.database import Database
from data_engine.lineage.datasets import DatasetFrame
from data_engine.lineage.uploads import PlannedTask
from data_engine.lineage.work import Run
from data_engine.types import (
    Annotation,
    Box,
    DatasetVersion,
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
FRAMES = 8


@dataclass(frozen=True)
class World:
    """What was recorded."""

    video: Video
    frames: list[Frame]
    old: Model
    new: Model
    child: Model
    selection: Selection
    task: str
    jobs: list[str]
    proposals: list[str]
    boxes: list[Annotation]


def a_run(connection, stage: str, **settings) -> Run:
    run = Run(content_id("run", stage, *settings), stage, content_id("fingerprint", stage), settings, "0.1")
    work.start(connection, run, NOW)
    return run


def model(name: str, version: str | None = None, parent: str | None = None) -> Model:
    return Model(content_id("model", name), "yolo", f"models/{name}.onnx", ("person",), version, parent, {"map50": 0.5})


@pytest.fixture
def world(database: Database) -> World:
    """Two versions: the first frame of the first left with the second, all others are in both."""
    gate = Video(content_id("gate"), "videos_raw/gate.mp4", "gate", "yard", 9, 64, 48, "h264", Fraction(25), 9.0)
    gate_frames = []
    for number in range(FRAMES):
        identity = content_id("frame", number)
        name = f"gate_{number * 1000:08d}_{identity[:8]}.jpg"
        gate_frames.append(
            Frame(identity, name, f"frames_sampled/{name}", 64, 48, "yard", gate.id, number, Fraction(1))
        )
    old = model("old")
    ids = [frame.id for frame in gate_frames]
    chosen = tuple(SelectedFrame(i, rank, 1 / rank, "uncertain: person 0.4", {}) for rank, i in enumerate(ids, 1))
    selection = Selection(content_id("selection"), old.id, chosen)
    proposed = [content_id("proposal", number) for number in range(FRAMES)]
    pictures = tuple(
        TaskFrame(f.name, f.key, 64, 48, (Box("person", (1.0, 2.0, 3.0, 4.0), 0.5, proposal),))
        for f, proposal in zip(gate_frames, proposed, strict=True)
    )
    spec = TaskSpec(content_id("task"), "Batch_01", ("person",), pictures, 4, None)
    with database.write() as connection:
        models.add_classes(connection, ["person"])
        footage.add_videos(connection, [gate])
        sample = a_run(connection, "sample", method="tiles")
        kept = tuple(SampledFrame(f, content_id(f.id) * 2, 0.25, 1.0, "changed") for f in gate_frames)
        footage.record_sampled(
            connection,
            sample.fingerprint,
            Sampled(gate, kept, FRAMES),
            dict.fromkeys((f.key for f in gate_frames), "s"),
        )
        work.record(connection, sample, "done", {gate.id: None})
        models.add_model(connection, old, run_id=None, weights_key=None, registered_at=NOW)
        models.record_predictions(connection, old.id, ids, "part")
        choices.record(connection, selection, run_id=a_run(connection, "filter", budget=8).id, pool_size=20)
        uploads.plan_task(
            connection,
            PlannedTask(spec, (), 0),
            backend="local",
            run_id=a_run(connection, "upload").id,
            frame_ids={f.name: f.id for f in gate_frames},
            model_id=old.id,
        )
        uploads.task_created(connection, spec.uid, 7)
        halves = [tuple(f.name for f in gate_frames[:4]), tuple(f.name for f in gate_frames[4:])]
        for stage, state, who in (("annotation", "new", "ann"), ("acceptance", "completed", "rev")):
            told = [Job(12 + i, 7, stage, state, who, names, NOW) for i, names in enumerate(halves)]
            jobs = labelling.record_jobs(connection, "local", spec.uid, told)
        labelling.record_review(connection, jobs[0], "accepted", actor="rev", reason="well done", now=NOW)
        boxes = [
            Annotation(
                content_id("box", number), f.id, 1, (1.0, 2.0, 3.0, 4.0), jobs[number // 4].id, False,
                proposed[number], old.id, "kept", "ann", "rev",
            )
            for number, f in enumerate(gate_frames)
        ]  # fmt: skip
        held = [
            DatasetFrame(f.id, jobs[n // 4].id, f"c{n}", "valid" if n == 7 else "train")
            for n, f in enumerate(gate_frames)
        ]
        datasets.replace_frames(connection, 1, held, {box.frame_id: [box] for box in boxes})
        export = a_run(connection, "export", valid_fraction=0.2)
        v1, v2 = content_id("v1"), content_id("v2")
        datasets.add_version(connection, DatasetVersion(v1, 1, None, 8, 8, "v1.json"), run_id=export.id, created_at=NOW)
        datasets.replace_frames(connection, 2, [], {}, [ids[0]])
        datasets.add_version(connection, DatasetVersion(v2, 2, v1, 7, 7, "v2.json"), run_id=export.id, created_at=NOW)
        train = a_run(connection, "retrain", epochs=3)
        new, child = model("new", v1), model("child", None, model("new").id)
        for made in (new, child):
            models.add_model(connection, made, run_id=train.id, weights_key=f"{made.key}.pt", registered_at=NOW)
    return World(gate, gate_frames, old, new, child, selection, spec.uid, [j.id for j in jobs], proposed, boxes)


def walk(database: Database, kind: str, key: str, **options) -> Graph:
    with database.read() as connection:
        return ancestry(connection, kind, key, **{"depth": 9, **options})


def ends(graph: Graph) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.relation, edge.target) for edge in graph.edges}


def test_a_box_comes_from_a_video_and_led_to_a_model(database, world):
    box, first, job = world.boxes[1], world.frames[1], world.jobs[0]
    graph = walk(database, "box", box.id)
    key, frame_id = f"box:{box.id}", f"frame:{first.id}"
    old, proposal = f"model:{world.old.id}", f"proposal:{box.proposal_id}"
    assert ends(graph) == {
        ("camera:yard", "filmed", f"video:{world.video.id}"),
        (f"video:{world.video.id}", "sampled", frame_id),
        (f"selection:{world.selection.id}", "chosen", frame_id),
        (old, "ranked", f"selection:{world.selection.id}"),
        (old, "proposed", proposal),
        (old, "proposed in", f"task:{world.task}"),
        (frame_id, "looked at", proposal),
        (f"task:{world.task}", "cut into", f"job:{job}"),
        (proposal, "became", key),
        (f"job:{job}", "accepted", key),
        (frame_id, "annotated", key),
        (key, "held", "versions:1-"),
        ("versions:1-", "trained", f"model:{world.new.id}"),
        (f"model:{world.new.id}", "trained on", f"model:{world.child.id}"),
    }
    assert (graph.left_out, graph.deeper) == ((), False)
    told = graph.nodes[key].facts
    assert (told["label"], told["annotator"], told["reviewer"], told["change"]) == ("person", "ann", "rev", "kept")
    assert told["in"] == ["v1 and later"]
    sampled = graph.nodes[frame_id].facts["sampled"]
    assert (sampled["reason"], sampled["similarity"]) == ("changed", 0.25)
    assert (sampled["run"]["settings"], sampled["run"]["started_at"]) == ({"method": "tiles"}, NOW)
    (accepted,) = [event for event in graph.nodes[f"job:{job}"].events if event["what"] == "accepted"]
    assert accepted == {"what": "accepted", "at": NOW, "by": "rev", "reason": "well done"}
    (why,) = [dict(edge.facts) for edge in graph.edges if edge.relation == "chosen"]
    assert (why["rank"], why["reason"]) == (2, "uncertain: person 0.4")


def test_a_frame_that_left_led_only_to_models_of_its_versions(database, world):
    gone = world.boxes[0]
    graph = walk(database, "box", gone.id, directions=("down",))
    assert graph.nodes[f"box:{gone.id}"].facts["in"] == ["v1"]
    assert {target for _source, relation, target in ends(graph) if relation == "trained"} == {f"model:{world.new.id}"}
    with database.write() as connection:
        later = model("later", content_id("v2"))
        models.add_model(connection, later, run_id=None, weights_key=None, registered_at=NOW)
    assert f"model:{later.id}" not in walk(database, "box", gone.id).nodes
    assert f"model:{later.id}" in walk(database, "box", world.boxes[1].id).nodes


def test_a_video_led_to_counted_frames_and_tells_all_when_asked(database, world):
    graph = walk(database, "video", world.video.id, directions=("down",), depth=3)
    (rest,) = [rest for rest in graph.left_out if rest.node == f"video:{world.video.id}"]
    assert (rest.kind, rest.total, rest.shown, rest.relation) == ("frame", FRAMES, 5, "sampled")
    assert sum(node.kind == "frame" for node in graph.nodes.values()) == 5
    every = walk(database, "video", world.video.id, directions=("down",), depth=3, everything=True)
    assert {node.key for node in every.nodes.values() if node.kind == "frame"} == {f.id for f in world.frames}
    assert {node.key for node in every.nodes.values() if node.kind == "box"} == {box.id for box in world.boxes}
    assert every.left_out == ()


def test_a_frame_led_to_no_box_of_another(database, world):
    graph = walk(database, "frame", world.frames[1].id, directions=("down",))
    assert {node.key for node in graph.nodes.values() if node.kind == "box"} == {world.boxes[1].id}
    assert {node.key for node in graph.nodes.values() if node.kind == "proposal"} == {world.proposals[1]}
    assert {node.key for node in graph.nodes.values() if node.kind == "job"} == {world.jobs[0]}
    assert (f"frame:{world.frames[1].id}", "seen by", f"model:{world.old.id}") in ends(graph)


def test_what_a_model_proposed_next(database, world):
    graph = walk(database, "model", world.old.id, directions=("down",), depth=2)
    found = ends(graph)
    assert (f"model:{world.old.id}", "proposed in", f"task:{world.task}") in found
    assert (f"task:{world.task}", "cut into", f"job:{world.jobs[0]}") in found
    assert (f"model:{world.old.id}", "ranked", f"selection:{world.selection.id}") in found


def test_a_version_comes_from_its_jobs(database, world):
    graph = walk(database, "version", content_id("v2"), directions=("up",), depth=1)
    merged = {edge.source: edge.facts["frames"] for edge in graph.edges if edge.relation == "merged"}
    assert merged == {f"job:{world.jobs[0]}": 3, f"job:{world.jobs[1]}": 4}
    assert (f"version:{content_id('v1')}", "changed into", f"version:{content_id('v2')}") in ends(graph)
    assert graph.deeper


def test_the_same_edges_are_met_from_both_ends(database, world):
    """Whatever is walked down from the camera is, walked up, met again."""
    down = walk(database, "camera", "yard", directions=("down",), everything=True)
    for edge in down.edges:
        # Intervals of versions, what a model saw and what a task showed are told one way only: of much they are part.
        if edge.relation in ("held", "seen by", "shown in") or edge.source.startswith("versions:"):
            continue
        kind, _colon, key = edge.target.partition(":")
        up = walk(database, kind, key, directions=("up",), depth=1, everything=True)
        assert (edge.source, edge.relation, edge.target) in ends(up)


def test_the_number_of_queries_does_not_grow_with_the_rows(database, world):
    asked: list[str] = []

    def count(_connection, _cursor, statement, *_more):
        asked.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", count)
    walk(database, "frame", world.frames[1].id, directions=("down",), depth=2, everything=True)
    one, asked[:] = len(asked), []
    walk(database, "video", world.video.id, directions=("down",), depth=3, everything=True)
    # One step and one kind of node more.
    assert 0 < len(asked) <= one + 6


def test_every_kind_can_be_asked_for_and_what_is_unknown_is_said_to_be(database, world):
    assert {step.start for steps in STEPS.values() for step in steps} == {*KINDS, "versions"}
    for kind in KINDS:
        graph = walk(database, kind, "f" * 32)
        if kind != "camera":
            assert [node.label for node in graph.nodes.values()] == ["ffffffffffff (not recorded)"]
        assert graph.edges == ()


WORDS = [
    ("yard", KINDS, ["camera"]),
    ("gate", KINDS, ["video"]),
    ("v1", KINDS, ["version"]),
    ("2", KINDS, ["version"]),
    ("12", ("job",), ["job"]),
    ("7", ("task",), ["task"]),
    ("12", ("task",), []),
    ("v12", ("job",), []),
    ("1", ("selection",), ["selection"]),
    (content_id("box", 3), KINDS, ["box"]),
    (content_id("box", 3)[:9].upper(), KINDS, ["box"]),
    (content_id("proposal", 3)[:12], KINDS, ["proposal"]),
    (content_id("model", "new")[:7], KINDS, ["model"]),
    (content_id("task")[:10], KINDS, ["task"]),
    (f"gate_00003000_{content_id('frame', 3)[:8]}.jpg", KINDS, ["frame"]),
    ("7: of a file", KINDS, ["proposal"]),
    ("gate%", KINDS, []),
    ("", KINDS, []),
]


def test_what_a_word_may_mean(database, world):
    stranger = {"id": "7: of a file", "task_id": world.task, "frame_id": world.frames[0].id, "label": "person"}
    stranger |= {"x": 1, "y": 1, "w": 1, "h": 1, "iscrowd": False, "attributes": {}, "position": 9}
    with database.write() as connection:
        connection.execute(sa.insert(tables.proposals), [stranger])
    with database.read() as connection:
        for text, kinds, meant in WORDS:
            assert [found.kind for found in find.candidates(connection, text, kinds)] == meant, text


def test_a_short_beginning_may_be_of_several(database, world):
    with database.read() as connection:
        for digits in ("0", "01", "012"):
            assert find.candidates(connection, digits, ("box",)) == []
        by_file = find.by_file(connection, "models/new.onnx.pt", None, KINDS)
        assert [(c.kind, c.key) for c in by_file] == [("model", world.new.id)]
        by_key = find.by_file(connection, world.frames[2].key, None, KINDS)
        assert [(c.kind, c.key) for c in by_key] == [("frame", world.frames[2].id)]
        by_content = find.by_file(connection, "", content_id(world.frames[2].id) * 2, KINDS)
        assert [(c.kind, c.key) for c in by_content] == [("frame", world.frames[2].id)]
        assert find.near(connection, "gaet", KINDS) == ["gate"]


SEEN = [
    ("camera", "yard", {"train": 7, "valid": 1}, {"train": 7, "valid": 1}),
    ("video", content_id("gate"), {"train": 7, "valid": 1}, {"train": 7, "valid": 1}),
    ("frame", content_id("frame", 7), {"valid": 1}, {"valid": 1}),
    ("frame", content_id("frame", 0), {"train": 1}, {"train": 1}),
    ("person", "ann", {"train": 7, "valid": 1}, {"train": 7, "valid": 1}),
    ("person", "rev", {"train": 7, "valid": 1}, {"train": 7, "valid": 1}),
    ("camera", "other", {}, {}),
]
"""A source, and the frames and boxes of it in the first version."""


def test_what_the_models_saw(database, world):
    with database.write() as connection:
        later = model("later", content_id("v2"))
        models.add_model(connection, later, run_id=None, weights_key=None, registered_at="2027")
    for source, key, frames, boxes in SEEN:
        with database.read() as connection:
            seen = {model.model_id: model for model in exposure.exposures(connection, source, key)}
        assert (seen[world.new.id].frames, seen[world.new.id].boxes, seen[world.new.id].version) == (frames, boxes, 1)
        assert (seen[world.child.id].frames, seen[world.child.id].parent_id) == ({}, world.new.id)
        # The first frame left with the second version.
        left = key != content_id("frame", 7) and "train" in frames
        assert seen[later.id].frames.get("train", 0) == frames.get("train", 0) - left
        assert seen[later.id].boxes.get("train", 0) == boxes.get("train", 0) - left
