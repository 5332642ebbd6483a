"""``status``: where the loop stands and what comes next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_engine.app.annotation.jobs import Look, SeenJob, look
from data_engine.app.annotation.preannotate import proposed_frames
from data_engine.app.annotation.status_jobs import piles, rows_of
from data_engine.app.dataset.convert import FOLDER as TRAINING
from data_engine.app.dataset.convert import converted_version
from data_engine.app.dataset.dataset_certificate import remark as certificate_remark
from data_engine.app.dataset.version_files import is_written
from data_engine.app.engine import Engine
from data_engine.app.footage.sample import INPUT
from data_engine.app.models.in_use import SHORT, is_model
from data_engine.app.models.models import current_model
from data_engine.app.selection.filter_files import LIST
from data_engine.errors import DamagedInputError
from data_engine.lineage import champions, choices, conflicts, datasets, footage, models, uploads, work
from data_engine.lineage.champions import ChampionRow
from data_engine.types import DatasetVersion, Model, Report, Selection
from data_engine.words import counted

_RUNS = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that decides what comes next."""

    videos: int
    frames: int
    """Frames that sampling kept; pictures that came alone are not among them."""
    selection: Selection | None
    waiting_frames: int
    """Frames of the newest selection that are in no task yet, or in one that was only planned."""
    jobs: tuple[SeenJob, ...]
    version: DatasetVersion | None
    model_version: int
    """Number of the newest dataset version that a model was trained on, 0 before the first."""
    has_model: bool
    written: bool
    """Whether the newest dataset version's files are there: what made it may have been killed after its record."""
    converted: bool
    """Whether the training folders hold the newest dataset version."""
    proposed: bool = False
    """Whether the pre-annotations hold all of the waiting frames."""
    lost: tuple[int, ...] = ()
    """Numbers of the tasks that are gone from the annotation backend."""
    to_sync: int = 0
    """Open jobs that people have finished with on the server, and that ``sync`` moves on."""
    undecided: bool = False
    """Whether it is still to be decided if the model that was trained last comes into use."""

    @property
    def unmerged(self) -> int:
        """Accepted jobs whose boxes are in no dataset version yet."""
        return sum(job.job.accepted and not job.merged for job in self.jobs)

    @property
    def open_jobs(self) -> int:
        """Jobs that people are still at work on."""
        return sum(not job.job.accepted for job in self.jobs)

    def next(self) -> str:
        """The command to type now."""
        if self.waiting_frames:
            return "dataengine preannotate" if self.has_model and not self.proposed else "dataengine upload"
        if self.to_sync:
            return "dataengine sync"
        if self.open_jobs:
            return "dataengine review list"
        if self.unmerged or not self.written:
            return "dataengine export"
        if self.version is not None and self.version.number > self.model_version:
            return "dataengine retrain" if self.converted else "dataengine convert"
        if self.undecided:
            return "dataengine promote"
        return "dataengine filter" if self.frames else "dataengine sample"


def standing(engine: Engine, seen: Look | None = None) -> Standing:
    """Read where the loop stands from lineage and the annotation backend.

    Args:
        engine: the workspace.
        seen: what the annotation backend says; without, it is asked.
    """
    from data_engine.stages.review import waits_for_sync

    backend = engine.backend()
    now = look(engine, backend) if seen is None else seen
    model = current_model(engine, None)
    with engine.database.read() as connection:
        counts = footage.count(connection)
        selection = choices.latest(connection)
        # A task that an interrupted upload only planned is still to be made.
        in_tasks = uploads.frames_in_tasks(connection, backend.name, planned=False)
        version = datasets.latest(connection)
        trained = models.trained(connection)
    waiting = () if selection is None else tuple(f.frame_id for f in selection.frames if f.frame_id not in in_tasks)
    return Standing(
        videos=counts["videos"],
        frames=counts["sampled"],
        selection=selection,
        waiting_frames=len(waiting),
        jobs=now.jobs,
        version=version,
        model_version=trained[-1][1] if trained else 0,
        has_model=model is not None,
        written=version is None or is_written(engine, version),
        converted=version is not None and _training_version(engine) == version.id,
        proposed=bool(waiting) and model is not None and proposed_frames(engine).issuperset(waiting),
        lost=now.lost,
        to_sync=sum(waits_for_sync(backend, seen.job) for seen in now.jobs),
        undecided=engine.settings.retrain.promote and _undecided(engine, model),
    )


def _undecided(engine: Engine, used: Path | None) -> bool:
    """Whether nothing was decided about the model that was trained last: its training was killed before that."""
    with engine.database.read() as connection:
        if champions.undecided(connection) is None:
            return False
        model = models.trained_last(connection)
    if model is None or not engine.storage.exists(model.key):
        return False
    # One that an earlier release put in use was decided about then.
    return used is None or not is_model(engine, used, model)


def _training_version(engine: Engine) -> str | None:
    try:
        return converted_version(engine, f"{TRAINING}/{engine.settings.retrain.kind}")
    except DamagedInputError:
        # Then it has to be written again, and that is what comes next.
        return None


def status(engine: Engine, seen: Look | None = None) -> Report:
    """Counts at every step of the loop, and the next command; arguments as of :func:`standing`."""
    now = standing(engine, seen)
    with engine.database.read() as connection:
        chosen = choices.count(connection)
        labels = datasets.label_counts(connection)
        trained = models.trained(connection)
        tasks = uploads.count_tasks(connection)
        merged = datasets.versions(connection)
        runs = work.latest(connection, _RUNS)
        disputed = len(conflicts.open_ones(connection))
        used = champions.newest(connection)
    waiting = piles(engine, now.jobs)
    best = trained[-1] if trained else None
    rows: list[dict[str, Any]] = [
        {"step": "videos", "count": now.videos, "detail": INPUT + "/"},
        {"step": "frames sampled", "count": now.frames, "detail": "frames_sampled/"},
        {
            "step": "hard frames",
            "count": chosen["chosen"],
            "detail": f"{counted(chosen['selections'], 'selection')}, {LIST}",
        },
        {"step": "tasks", "count": tasks, "detail": f"{counted(now.waiting_frames, 'chosen frame')} to upload"},
        {"step": "jobs", "count": len(now.jobs), "detail": _jobs(now)},
        *rows_of(waiting, engine.clock()),
        {"step": "dataset versions", "count": len(merged), "detail": _dataset(now, labels)},
        *([{"step": "  frames in dispute", "count": disputed, "detail": "dataengine review list"}] if disputed else []),
        {
            "step": "models",
            "count": len(trained),
            "detail": "" if best is None else _models(best[0], best[1], used),
        },
    ]
    return Report(
        title=f"the loop in {engine.root}",
        data={
            "workspace": str(engine.root),
            "database": engine.database.shown,
            "labels": labels,
            "training_data_is_current": now.converted,
            "jobs": [asdict(pile) for pile in waiting],
            "lost_tasks": list(now.lost),
            "frames_in_dispute": disputed,
            "latest_runs": [dict(row._mapping) for row in runs],
        },
        rows=tuple(rows),
        notes=tuple(filter(None, [None if now.version is None else certificate_remark(engine, now.version)])),
        next=now.next(),
    )


def _jobs(now: Standing) -> str:
    parts = [
        counted(now.open_jobs, "open job") if now.open_jobs else "",
        f"{now.to_sync} to move on by sync" if now.to_sync else "",
        f"{now.unmerged} to merge" if now.unmerged else "",
    ]
    if now.lost:
        parts.append(f"lost on the server: task {', '.join(map(str, now.lost))}")
    return "; ".join(filter(None, parts))


def _dataset(now: Standing, labels: dict[str, int]) -> str:
    if now.version is None:
        return f"{counted(now.unmerged, 'accepted job')} to merge" if now.unmerged else ""
    counts = ", ".join(f"{name} {number}" for name, number in labels.items())
    return (
        f"{now.version.label}: {counted(now.version.frames, 'frame')}, {counted(now.version.boxes, 'box')} ({counts})"
    )


def _models(newest: Model, version: int, used: ChampionRow | None) -> str:
    told = f"newest: {newest.kind} on v{version}, mAP50 {_shown(newest.metrics)}"
    if used is None or used.model_id == newest.id:
        return told
    return f"{told}; in use: {used.kind} {used.model_id[:SHORT]} since {used.at[:10]}"


def _shown(metrics: Any) -> str:
    value = metrics.get("map50")
    return "unknown" if value is None else f"{value:.3f}"
