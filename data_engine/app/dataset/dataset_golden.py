"""``dataset golden``: keep a part of the dataset for judging models, and never train on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_engine.app.dataset.dataset_certificate import remark as certificate_remark
from data_engine.app.dataset.dataset_versions import version_named
from data_engine.app.dataset.golden_blocks import Blocks
from data_engine.app.dataset.version_files import FOLDER, add_version, write_version
from data_engine.app.engine import Engine
from data_engine.app.models.models import registered_classes
from data_engine.errors import ConflictError, MissingInputError
from data_engine.lineage import datasets, reverting, split_sources
from data_engine.lineage.database import Connection
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.selection.golden import Block, Wanted, choose, lacking
from data_engine.stages.golden import STAGE, VERSION, GoldenSettings
from data_engine.types import ClassRegistry, DatasetVersion, Report, Split
from data_engine.words import counted, listed

_SPARED = 0.5
"""Share of the validation side's frames that stay on it: a model is chosen by them."""


def golden(engine: Engine) -> Report:
    """Turn whole blocks of time golden until the set holds what is wanted, and make a version with them.

    They come from the validation side, where that does not suffice from blocks of the training side that no model has
    seen.  Called again it adds what is lacking; nothing that is golden ever leaves the set.

    Raises:
        MissingInputError: there is no version yet, or no frame that may be taken.
        ConflictError: models have seen whatever could be taken.
    """
    registry = registered_classes(engine)
    settings = engine.settings.golden
    with alone_with_versions(engine.database):
        with engine.database.read() as connection:
            newest = version_named(connection)
            blocks = Blocks(connection, newest.number)
            maker = reverting.made_by(connection, newest.number)
        held = blocks.held()
        wanted = Wanted(
            round(settings.fraction * blocks.frames), dict.fromkeys(blocks.categories, settings.min_per_class)
        )
        spare = int(blocks.on("valid") * (1 - _SPARED))
        chosen = choose(blocks.may_be_chosen(), wanted, held, spare=spare)
        if not chosen and not held.frames:
            raise _nothing(blocks)
        killed = not chosen and maker is not None and maker.stage == STAGE and maker.state != "done"
        added = chosen and newest
        if chosen or killed:
            base = newest.id if chosen else newest.parent_id or newest.id
            with engine.runner.run(STAGE, VERSION, settings, inputs=[base]) as run:
                if chosen:
                    with engine.database.write() as connection:
                        turned = blocks.turned(block.key for block in chosen)
                        newest = _add(engine, connection, newest, chosen, turned, run.id)
                        engine.runner.finish_input(connection, run, [base])
                write_version(engine, newest, newest.key)
        else:
            write_version(engine, newest, newest.key)
        with engine.database.read() as connection:
            after = Blocks(connection, newest.number)
    return _report(engine, newest, bool(added), after, wanted, chosen, registry, settings)


def _add(
    engine: Engine,
    connection: Connection,
    newest: DatasetVersion,
    chosen: Sequence[Block],
    turned: Mapping[str, Split],
    run_id: str,
) -> DatasetVersion:
    number = newest.number + 1
    contents = {f: (entry.content, entry.split) for f, entry in datasets.frames_of(connection, newest.number).items()}
    contents |= {frame_id: (contents[frame_id][0], side) for frame_id, side in turned.items()}
    reverting.restore(connection, newest.number, number, turned, [])
    split_sources.add_golden(connection, [block.key for block in chosen], number)
    return add_version(engine, connection, newest, contents, run_id)


def _nothing(blocks: Blocks) -> ConflictError | MissingInputError:
    frames, versions = blocks.refused()
    if frames:
        names = _models(blocks, versions)
        return ConflictError(
            f"no frame can be kept for judging: {counted(frames, 'frame')} of the training side were seen by {names}, "
            f"and the {counted(blocks.on('valid'), 'frame')} of the validation side are too few to give half of away",
            hint="annotate more footage, then: dataengine export",
        )
    return MissingInputError(
        "no frame can be kept for judging: no block of the dataset is small enough to be spared",
        hint="annotate more footage, then: dataengine export",
    )


def _models(blocks: Blocks, versions: set[int]) -> str:
    return listed([f"{model.model_id[:8]} (v{model.version})" for model in blocks.models if model.version in versions])


def _report(
    engine: Engine,
    version: DatasetVersion,
    new: bool,
    blocks: Blocks,
    wanted: Wanted,
    chosen: Sequence[Block],
    registry: ClassRegistry,
    asked: GoldenSettings,
) -> Report:
    held = blocks.held()
    short = lacking(wanted, held, ())
    notes = [
        f"{registry.name_of(category)}: {had} of {number} boxes wanted; no other block that may be taken has any"
        for category, (had, number) in sorted(short.items())
    ]
    if held.frames < wanted.frames and not short:
        found = f"{held.frames} of {wanted.frames} frames wanted"
        notes.append(f"{found}: blocks are taken whole, and the next would be too large, or is none")
    if held.frames > wanted.frames:
        notes.append(_more(blocks, held.frames, asked))
    seen, versions = blocks.refused()
    if seen and (short or held.frames < wanted.frames):
        notes.append(f"{counted(seen, 'frame')} left out, for they were seen by {_models(blocks, versions)}")
    unknown = sum(model.version is None for model in blocks.models)
    if unknown:
        notes.append(f"of {counted(unknown, 'model')} from elsewhere nobody knows what it was trained on")
    notes += filter(None, [certificate_remark(engine, version)])
    if new:
        notes.append("training folders that were converted before hold none of this: dataengine convert")
    return Report(
        title=f"golden set of dataset version {version.label}: "
        f"{counted(held.frames, 'frame')}, {counted(sum(held.boxes.values()), 'box')}"
        + ("" if new else "; nothing was added"),
        data={
            "version": version.label,
            "version_id": version.id,
            "new": new,
            "blocks_added": len(chosen),
            "frames_added": sum(block.frames for block in chosen),
            "frames": held.frames,
            "frames_wanted": wanted.frames,
            "share_wanted": asked.fraction,
            "share": round(held.frames / blocks.frames, 4) if blocks.frames else 0.0,
            "boxes": sum(held.boxes.values()),
            "train": blocks.on("train"),
            "valid": blocks.on("valid"),
            "guard": blocks.on("guard"),
            "complete": not short and held.frames >= wanted.frames,
            "output": engine.shown(f"{FOLDER}/golden.json"),
        },
        rows=tuple(
            {"class": registry.name_of(category), "boxes": held.boxes.get(category, 0), "wanted": number}
            for category, number in sorted(wanted.boxes.items())
        ),
        notes=tuple(notes),
        next="dataengine convert",
    )


def _more(blocks: Blocks, held: int, asked: GoldenSettings) -> str:
    """Why more is golden than was asked for."""
    classes = f", and added until every class has {asked.min_per_class} boxes" if asked.min_per_class else ""
    return (
        f"{held / blocks.frames:.3g} of the frames are golden where {asked.fraction:g} was asked for: blocks of time "
        f"are taken whole, for no frame that is trained on may lie beside one that models are judged on{classes}"
    )
