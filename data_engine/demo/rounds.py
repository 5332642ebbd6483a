"""``demo``: the whole loop, twice round, on footage drawn on the spot, with the ground truth as the people."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from data_engine.app.engine import Engine, open_engine
from data_engine.app.footage.sample import INPUT
from data_engine.app.init import init
from data_engine.app.models.models import champion_key, open_detector
from data_engine.demo.footage import CLASSES, NO_HELMET, Footage, LabelledBox, make_footage
from data_engine.demo.measure import HeldOut, held_out_frames, measure
from data_engine.demo.page import ChosenPicture, DemoResult, DemoRound, Metrics, render_page, table_rows
from data_engine.demo.turn import take_turn
from data_engine.errors import ConflictError
from data_engine.lineage import choices, datasets, footage
from data_engine.ports import Progress
from data_engine.types import Frame, Report

PAGE = "demo.html"
HELD_OUT = "held_out"
_MARK = ".dataengine-demo"
_HELD_OUT_SEED = 1000
"""Added to the seed: the held-out clips show other people in other plants."""
_PICTURES_A_ROUND = 8


@dataclass(frozen=True, slots=True)
class Size:
    """How much footage and how much training."""

    cameras: int
    clips: int
    seconds: float
    budget: int
    epochs: int
    held_out_seconds: float


FULL = Size(cameras=3, clips=2, seconds=50.0, budget=30, epochs=40, held_out_seconds=60.0)
QUICK = Size(cameras=2, clips=1, seconds=20.0, budget=15, epochs=3, held_out_seconds=15.0)
FPS = Fraction(10)
PICTURE = (384, 288)


def demo(folder: Path, *, rounds: int = 2, seed: int = 0, quick: bool = False, progress: Progress) -> Report:
    """Draw footage, take the loop ``rounds`` times round, and write a page of what came of it.

    The folder is a workspace like any other afterwards, but another demonstration begins it anew.

    Raises:
        ConflictError: the folder is there, not empty, and not a demonstration's.
    """
    began = time.monotonic()
    size = QUICK if quick else FULL
    folder = folder.absolute()
    _claim(folder)
    progress.note(f"drawing {size.cameras * size.clips} clips of {size.seconds:g} s and {size.cameras} held-out ones")
    init(folder, classes=CLASSES, progress=progress)
    pool = _footage(folder / INPUT, size, seed, size.seconds, size.clips)
    tests = _footage(folder / HELD_OUT, size, seed + _HELD_OUT_SEED, size.held_out_seconds, 1)
    held_out = [
        picture
        for clip in tests.clips
        for picture in held_out_frames(
            tests.path(clip), key=clip.file, every_s=1.0, truth=lambda t, name=clip.name: tests.boxes_at(name, t)
        )
    ]
    turned: list[DemoRound] = []
    pictures: list[ChosenPicture] = []
    with open_engine(
        folder, workspace=folder, overrides=_settings(size, seed), progress=progress, environ={}
    ) as engine:
        for number in range(rounds):
            turn, shown = _turn(engine, number, pool, held_out, previous=turned)
            turned.append(turn)
            pictures += shown
    result = DemoResult(
        rounds=tuple(turned),
        classes=CLASSES,
        rare_class=NO_HELMET,
        pictures=tuple(pictures),
        notes=(
            f"{len(pool.clips)} drawn clips of {size.cameras} cameras are the footage; {len(held_out)} frames of other "
            "clips, from which nothing was chosen, are what the models are measured on.",
            "The exact ground truth plays the annotators and the reviewer; everything else is the loop as it is.",
            *(
                f"The model of round {turn.number} was not shown to be fit for use; the one before it stays."
                for turn in turned
                if turn.refused
            ),
        ),
        seconds=time.monotonic() - began,
    )
    page = folder / PAGE
    page.write_text(render_page(result), "utf-8")
    first, last = turned[0], turned[-1]
    return Report(
        title=f"the loop turned {len(turned)} times: mAP50 on held-out footage {first.after.map50:.2f} after the first "
        f"round, {last.after.map50:.2f} after the last",
        data={
            "rounds": len(turned),
            "map50_first": first.after.map50,
            "map50_last": last.after.map50,
            "rare_class": NO_HELMET,
            "rare_ap50_first": first.after.ap50.get(NO_HELMET),
            "rare_ap50_last": last.after.ap50.get(NO_HELMET),
            "boxes_accepted": sum(turn.boxes for turn in turned),
            "seconds": round(result.seconds, 1),
            "page": str(page),
            "workspace": str(folder),
        },
        rows=table_rows(result),
        next=f"open {page}, then: cd {folder} && dataengine status",
    )


def _claim(folder: Path) -> None:
    """Take an empty folder, or make one of an earlier demonstration empty.

    Raises:
        ConflictError: it holds something else.
    """
    file = folder / _MARK
    if file.is_file():
        shutil.rmtree(folder)
    elif folder.is_dir() and any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty", hint="name another folder: dataengine demo FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text("Every dataengine demo empties this folder first.\n", "utf-8")


def _settings(size: Size, seed: int) -> dict[str, dict[str, Any]]:
    return {
        "sample": {"method": "tiles"},
        "filter": {"budget": size.budget, "seed": seed},
        # Heads are small in these pictures: the library's own scaling would shrink them to nothing.
        "retrain": {
            "kind": "yolo",
            "size": "tiny",
            "image_size": 192,
            "epochs": size.epochs,
            "batch": 4,
            "seed": seed,
            "extra": ["scale=0.2"],
        },
        "predict": {"device": "cpu"},
    }


def _footage(folder: Path, size: Size, seed: int, seconds: float, clips: int) -> Footage:
    made = make_footage(folder, seed=seed, cameras=size.cameras, seconds=seconds, fps=FPS, size=PICTURE, clips=clips)
    made.save()
    return made


def _turn(
    engine: Engine, number: int, pool: Footage, held_out: Sequence[HeldOut], *, previous: Sequence[DemoRound]
) -> tuple[DemoRound, list[ChosenPicture]]:
    began = time.monotonic()
    engine.progress.note(f"round {number}: sample, filter, preannotate, upload, review, export, convert, retrain")

    def truth(frame: Frame) -> list[LabelledBox]:
        clip = next(clip for clip in pool.clips if frame.name.startswith(f"{clip.name}_"))
        return pool.boxes_at(clip.name, frame.time_s or 0.0)

    taken = take_turn(
        engine, truth, annotator=f"annotator-{number + 1}@example.com", reviewer="reviewer@example.com", careless=True
    )
    sampled, chosen, exported, trained = (taken.reports[step] for step in ("sample", "filter", "export", "retrain"))
    metrics = measure(open_detector(engine, engine.storage.path(champion_key("yolo"))), held_out, CLASSES)
    after = Metrics(metrics["map50"] or 0.0, metrics["ap50_per_class"])
    with engine.database.read() as connection:
        version = datasets.latest(connection)
        assert version is not None  # export has just made or found one
        changes = datasets.change_counts(connection, version.number)
        new = {f for f, entry in datasets.frames_of(connection, version.number).items()}
        old = set(datasets.frames_of(connection, version.number - 1))
        boxes = datasets.boxes_of(connection, version.number)
    counts = dict.fromkeys(CLASSES, 0)
    for frame_id in new - old:
        for box in boxes.get(frame_id, ()):
            counts[CLASSES[box.category_id - 1]] += 1
    turn = DemoRound(
        number=number,
        model_before=None if not previous else previous[-1].model_after,
        model_after=str(trained.data["model_id"] if trained.data["in_use"] else trained.data["held_against"]),
        frames_pool=sum(len(clip.frames) for clip in pool.clips),
        sampled=int(sampled.data["frames_in_all"]),
        chosen=int(chosen.data["chosen"]),
        boxes_accepted=counts,
        proposals_kept=changes["kept"],
        proposals_edited=changes["edited"],
        boxes_added=changes["added"],
        rejected_jobs=taken.worked.rejected,
        version=str(exported.data["version"]),
        train_frames=int(exported.data["train"]),
        valid_frames=int(exported.data["valid"]),
        before=previous[-1].after if previous else None,
        after=after,
        seconds=time.monotonic() - began,
        refused=None if trained.data["in_use"] else str(trained.data["model_id"]),
    )
    return turn, _pictures(engine, number, truth)


def _pictures(engine: Engine, number: int, truth: Any) -> list[ChosenPicture]:
    """The most wanted frames of the newest selection, as they are to be shown."""
    with engine.database.read() as connection:
        selection = choices.latest(connection)
        assert selection is not None  # filter has just made it
        rows = selection.frames[:_PICTURES_A_ROUND]
        frames = footage.frames_by_id(connection, [row.frame_id for row in rows])
    return [
        ChosenPicture(
            round=number,
            name=frame.name,
            jpeg=engine.storage.read_bytes(frame.key),
            size=(frame.width, frame.height),
            boxes=tuple(truth(frame)),
            reason=row.reason,
        )
        for row in rows
        for frame in (frames[row.frame_id],)
    ]
