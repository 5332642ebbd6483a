"""The whole loop, twice round, on real footage of a static camera, with its ground truth as the annotators."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

from data_engine.app.engine import Engine, open_engine
from data_engine.cli.progress import SilentProgress
from data_engine.formats.boxes import overlap
from data_engine.lineage import datasets, models, tables
from data_engine.types import Frame

pytestmark = pytest.mark.required

ROOT = Path(__file__).resolve().parents[2]
BUDGET, POOL_S = 12, 47.7
GUARD_S = POOL_S / 5 / 10
"""A short video is cut into five blocks, with a tenth of a block between the sides."""
LEARNED = 0.3
"""AP50 that no untrained model reaches (they have 0.00)."""


@pytest.fixture(scope="module")
def benchmark_module() -> ModuleType:
    """The benchmark plays the same loop for longer."""
    spec = importlib.util.spec_from_file_location("flywheel_vtest", ROOT / "benchmarks/flywheel_vtest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class Played:
    """A workspace in which the loop turned twice."""

    engine: Engine
    clip: Any
    turns: list[Any]
    rounds: list[Any]

    def rows(self, query: sa.Select[Any]) -> list[Any]:
        with self.engine.database.read() as connection:
            return list(connection.execute(query))

    def json(self, key: str) -> Any:
        return json.loads(self.engine.storage.read_bytes(key))

    def frames(self) -> dict[str, Frame]:
        from data_engine.lineage import footage

        ids = [row.id for row in self.rows(sa.select(tables.frames.c.id))]
        with self.engine.database.read() as connection:
            return footage.frames_by_id(connection, ids)


@pytest.fixture(scope="module")
def played(benchmark_module: ModuleType, tmp_path_factory, shared: Path) -> Iterator[Played]:
    data = shared / "data/video"
    if not (data / "vtest.avi").is_file():
        pytest.skip("the real clip (data/video/vtest.avi) is not there")
    clip = benchmark_module.Clip(data)
    folder = tmp_path_factory.mktemp("vtest") / "workspace"
    turns, rounds = [], []
    for turn, done in benchmark_module.rounds(clip, folder, "filter", seed=0, count=2):
        turns.append(turn)
        rounds.append(done)
    with open_engine(folder, workspace=folder, progress=SilentProgress(), environ={}) as engine:
        yield Played(engine, clip, turns, rounds)


def test_each_round_takes_frames_that_were_never_taken(played):
    assert [turn.reports["filter"].data["chosen"] for turn in played.turns] == [BUDGET, BUDGET]
    assert [sorted(set(turn.reports) - {"preannotate"}) for turn in played.turns] == [
        ["convert", "export", "filter", "retrain", "sample", "upload"]
    ] * 2
    assert ["preannotate" in turn.reports for turn in played.turns] == [False, True]
    for table in (tables.selection_frames, tables.task_frames, tables.job_frames):
        ids = [row.frame_id for row in played.rows(sa.select(table.c.frame_id))]
        assert len(ids) == len(set(ids)) == 2 * BUDGET
    images = played.json("master_dataset/master_dataset_v2.json")["images"]
    assert len({image["frame_id"] for image in images}) == len(images) == 2 * BUDGET


def test_the_first_choice_is_for_variety_and_the_second_for_what_the_model_doubts(played):
    rows = played.rows(
        sa.select(tables.selections.c.number, tables.selections.c.model_id, tables.selection_frames.c.reason).join(
            tables.selection_frames, tables.selection_frames.c.selection_id == tables.selections.c.id
        )
    )
    first = [row for row in rows if row.number == 1]
    second = [row for row in rows if row.number == 2]
    assert {row.model_id for row in first} == {None}
    assert all(row.reason.startswith("diverse: ") for row in first)
    assert {row.model_id for row in second} == {played.turns[0].reports["retrain"].data["model_id"]}
    kinds = Counter(row.reason.split(":")[0] for row in second)
    assert kinds["exploration"] == 1
    assert set(kinds) <= {"exploration", "uncertain", "missed", "flash", "next best"}


def test_every_accepted_box_is_the_truth(played):
    document = played.json("master_dataset/master_dataset_v2.json")
    assert [category["name"] for category in document["categories"]] == ["person"]
    of_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    boxes = 0
    for image in document["images"]:
        truth = [xywh for _label, xywh in played.clip.boxes_at(image["time_s"])]
        boxes += len(truth)
        assert len(of_image[image["id"]]) == len(truth)
        for annotation in of_image[image["id"]]:
            # A proposal that was good enough was left as it is; everything else is what the annotator drew.
            nearest = max(truth, key=lambda xywh: overlap(xywh, annotation["bbox"]))
            if annotation["attributes"]["change"] == "kept":
                assert overlap(nearest, annotation["bbox"]) >= 0.9
            else:
                assert annotation["bbox"] == pytest.approx(nearest, abs=1e-6)
            truth.remove(nearest)
    assert boxes == len(document["annotations"]) == played.rounds[1].boxes
    first = played.json("master_dataset/master_dataset_v1.json")
    assert len(first["annotations"]) == played.rounds[0].boxes == played.turns[0].worked.boxes
    assert boxes == sum(turn.worked.boxes for turn in played.turns)
    second = played.rounds[1]
    assert second.kept + second.edited + second.added == second.boxes - played.rounds[0].boxes


def test_every_box_is_followed_back_to_its_video_and_its_model(played):
    first_model = played.turns[0].reports["retrain"].data["model_id"]
    frames = played.frames()
    (video,) = played.rows(sa.select(tables.videos))
    assert (video.key, video.width, video.height) == ("videos_raw/plaza.avi", 768, 576)
    jobs = {row.id: row for row in played.rows(sa.select(tables.jobs))}
    held = {(row.job_id, row.frame_id) for row in played.rows(sa.select(tables.job_frames))}
    proposed = {(row.id, row.frame_id): row for row in played.rows(sa.select(tables.proposals))}
    assert {row.model_id for row in proposed.values()} == {first_model}

    document = played.json("master_dataset/master_dataset_v2.json")
    images = {image["id"]: image for image in document["images"]}
    begun = Counter()
    for annotation in document["annotations"]:
        known = annotation["attributes"]
        frame = frames[images[annotation["image_id"]]["frame_id"]]
        job = jobs[known["job"]]
        assert (job.stage, job.state, job.annotator, job.reviewer) == (
            "acceptance",
            "completed",
            "annotator",
            "reviewer",
        )
        assert (job.id, frame.id) in held
        assert frame.video_id == video.id
        if known["change"] == "added":
            assert "proposal" not in known
            assert "model" not in known
        else:
            assert proposed[known["proposal"], frame.id].model_id == known["model"] == first_model
        begun[known["change"]] += 1
    # The first model found somebody: people moved boxes instead of drawing all of them.
    assert begun["kept"] + begun["edited"] > 0
    assert begun["added"] > 0


def test_neighbours_never_lie_on_both_sides(played):
    sides = {
        side: [image["time_s"] for image in played.json(f"master_dataset/{side}.json")["images"]]
        for side in ("train", "valid")
    }
    assert min(map(len, sides.values())) > 0
    assert min(abs(a - b) for a in sides["train"] for b in sides["valid"]) >= GUARD_S - 1e-9
    guard = 2 * BUDGET - sum(map(len, sides.values()))
    assert guard == played.turns[1].reports["export"].data["guard"]
    for side, times in sides.items():
        labels = played.engine.storage.path(f"final_labels/yolo/{side}/labels")
        assert len(list(labels.glob("*.txt"))) == len(times)


def test_the_held_out_part_never_enters(played, benchmark_module):
    (video,) = played.rows(sa.select(tables.videos))
    assert video.duration_s == POOL_S < benchmark_module.HELD_OUT_FROM_S
    times = [frame.time_s for frame in played.frames().values()]
    assert len(times) == played.turns[0].reports["sample"].data["frames_in_all"]
    assert max(times) < POOL_S
    assert len(played.clip.held_out()) == 48


def test_the_pool_is_the_beginning_of_the_clip(played):
    from itertools import pairwise

    from data_engine.media.decode import VideoReader

    with (
        VideoReader(played.engine.storage.path("videos_raw/plaza.avi"), key="plaza.avi") as pool,
        VideoReader(played.clip.path, key="vtest.avi") as whole,
    ):
        seen = []
        for mine, theirs in zip(pool, whole, strict=False):
            assert mine.time_s == theirs.time_s
            assert (mine.luma() == theirs.luma()).all()
            seen.append(float(mine.time_s))
    assert len(seen) == 477
    assert all(later > earlier for earlier, later in pairwise(seen))


def test_the_second_model_comes_from_the_second_version(played):
    with played.engine.database.read() as connection:
        trained = models.trained(connection)
        versions = datasets.versions(connection)
    assert [number for _model, number in trained] == [1, 2]
    assert [model.id for model, _number in trained] == [
        turn.reports["retrain"].data["model_id"] for turn in played.turns
    ]
    assert trained[0][0].id != trained[1][0].id
    assert [model.dataset_version_id for model, _number in trained] == [version.id for version in versions]
    assert [version.parent_id for version in versions] == [None, versions[0].id]
    assert [version.frames for version in versions] == [BUDGET, 2 * BUDGET]
    champion = hashlib.sha256(played.engine.storage.read_bytes("models/yolo_best.onnx")).hexdigest()
    assert champion.startswith(trained[1][0].id)
    for model, _number in trained:
        assert model.metrics["images"] > 0
        assert model.class_names == ("person",)


def test_the_first_model_has_learned_to_see_people(played):
    assert played.rounds[0].ap50 >= LEARNED
