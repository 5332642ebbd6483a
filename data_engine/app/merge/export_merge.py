"""Accepted jobs taken into the dataset: which are read, and the version that a plan becomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from data_engine.app.annotation.jobs import SeenJob
from data_engine.app.dataset.sides import sides_of
from data_engine.app.dataset.version_files import add_version
from data_engine.app.engine import Engine
from data_engine.app.merge.export_plan import Plan, Wanted, boxes_of
from data_engine.app.merge.merge_spool import Spool, Spooled
from data_engine.lineage import datasets, merge_bases, split_sources, withdrawals
from data_engine.lineage.database import Connection
from data_engine.lineage.datasets import DatasetFrame
from data_engine.stages.export import ExportSettings
from data_engine.types import DatasetVersion, Split


def to_merge(
    connection: Connection, accepted: Sequence[SeenJob], reopened: Collection[str], noticed: Collection[str]
) -> Wanted:
    """Find what is to be read.

    Jobs that were accepted since they were merged, those of which frames were deleted or brought back, and jobs of
    which the dataset does not hold every frame: another job that held it too may have been opened again.

    Args:
        connection: to read from.
        accepted: the jobs that may be merged.
        reopened: lineage ids of the jobs that are not, or no longer, accepted.
        noticed: lineage ids of jobs with frames that were deleted or brought back.
    """
    latest = datasets.latest(connection)
    held = {} if latest is None else datasets.frames_of(connection, latest.number)
    in_doubt = {frame_id for frame_id, entry in held.items() if entry.job_id in reopened}
    in_doubt |= merge_bases.frames_with_boxes_of(connection, reopened) & held.keys()
    of_jobs = datasets.frames_of_jobs(connection, [job.known.id for job in accepted])
    kept_back = withdrawals.by_date(connection, {job.known.id: job.job.updated_at for job in accepted})
    for identity, gone in kept_back.items():
        of_jobs[identity] = of_jobs.get(identity, set()) - gone
    standing = held.keys() - in_doubt
    fresh = [
        job
        for job in accepted
        if not job.merged or job.known.id in noticed or not of_jobs.get(job.known.id, set()) <= standing
    ]
    return Wanted(sorted(fresh, key=lambda job: (job.job.updated_at, job.job.id)), latest, held, frozenset(in_doubt))


def without(
    given: Mapping[str, Sequence[Spooled]], kept_back: Mapping[str, Collection[str]]
) -> dict[str, list[Spooled]]:
    """What jobs give but the frames that each of them does not, by its lineage id."""
    found = {f: [side for side in sides if f not in kept_back.get(side.job_id, ())] for f, sides in given.items()}
    return {frame_id: sides for frame_id, sides in found.items() if sides}


def planned_sides(
    connection: Connection, plan: Plan, settings: ExportSettings, said: Mapping[str, Split]
) -> dict[str, Split]:
    """The side of each frame that comes or changes; ``said`` as of :func:`advance`."""
    plan.ever = split_sources.ever_held(connection)
    categories = {f: entry.categories for f, entry in plan.changed.items()}
    return sides_of(connection, categories, settings, said, plan.ever)


def advance(
    engine: Engine,
    connection: Connection,
    plan: Plan,
    spool: Spool,
    acceptances: Mapping[str, str],
    settings: ExportSettings,
    run_id: str,
    *,
    said: Mapping[str, Split] = MappingProxyType({}),
) -> DatasetVersion | None:
    """Add the version that a plan makes; without a change the newest one stays, None where there is none.

    Args:
        engine: the workspace.
        connection: of a writing transaction.
        plan: what becomes of the dataset.
        spool: where its boxes are.
        acceptances: what the jobs that are merged stand by, by their lineage ids.
        settings: how new sides are decided.
        run_id: id of the run.
        said: the sides of frames that never had one, where somebody else decided them.
    """
    if not plan:
        return plan.latest
    number = 1 if plan.latest is None else plan.latest.number + 1
    # Also of a frame that left and comes back: it keeps the side that it had.
    sides = planned_sides(connection, plan, settings, said)
    contents = {f: (entry.content, entry.split) for f, entry in plan.held.items() if f not in plan.left}
    contents.update({frame_id: (entry.content, sides[frame_id]) for frame_id, entry in plan.changed.items()})
    datasets.put_frames(
        connection,
        number,
        (DatasetFrame(f, entry.job_id, entry.content, sides[f]) for f, entry in sorted(plan.changed.items())),
        boxes_of(plan, spool, acceptances),
        sorted(plan.left.keys() | (plan.changed.keys() & plan.held.keys())),
    )
    return add_version(engine, connection, plan.latest, contents, run_id)
