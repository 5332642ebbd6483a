"""``dataset import``: a dataset from elsewhere comes into the master, with its own root in the lineage."""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.app.collector import seldom_collected
from data_engine.app.dataset.dataset_certificate import remark as certificate_remark
from data_engine.app.dataset.version_files import write_version
from data_engine.app.engine import Engine
from data_engine.app.merge.export_conflicts import Ask
from data_engine.app.merge.import_asking import answered, tried
from data_engine.app.merge.import_merge import Given, OnConflict, Outcome, merge_import, spooled
from data_engine.app.merge.import_opened import name_of, opened
from data_engine.app.merge.import_pictures import size_of, take_all
from data_engine.app.merge.import_report import Labels, told
from data_engine.app.models.models import registered_classes
from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, UsageError
from data_engine.formats.sniff import Kind
from data_engine.lineage import imports, models
from data_engine.lineage.imports import Import
from data_engine.lineage.version_lock import alone_with_versions
from data_engine.runner import settings_of
from data_engine.stages.import_plan import Labelled, Sides, class_map, digest, labelled
from data_engine.types import ClassRegistry, Report, wrong_with_name
from data_engine.words import counted, listed

if TYPE_CHECKING:
    from data_engine.stages.dataset_import import Imported

VERSION = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a dataset is to be imported."""

    name: str | None = None
    """What it goes by; else the file's or folder's name."""
    camera: str | None = None
    """Of all of its pictures; else what it says itself, else its name with the folders of a picture."""
    format: Kind | None = None
    split: Sides = "own"
    on_conflict: OnConflict = "held"
    classes_map: str | None = None
    """``old=new,…``."""
    allow_new_classes: bool = False
    images: Path | None = None
    """Where pictures are that do not lie beside the labels."""
    dry_run: bool = False
    """Whether nothing is written and the report says what would be."""

    def command(self, path: Path) -> str:
        """What to type for this import of ``path``, not to try it."""
        words = ["dataengine", "dataset", "import", str(path)]
        for option in fields(self):
            value = getattr(self, option.name)
            if value != option.default and option.name != "dry_run":
                words += [f"--{option.name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return shlex.join(words)


@seldom_collected()
def import_dataset(engine: Engine, path: Path, wanted: Wanted, ask: Ask | None = None) -> Report:
    """Bring in a folder, an archive or a file of labels with its pictures, accepted as it is.

    Pictures are copied into the workspace by their content.  A frame that the dataset holds is merged box by box as a
    job's is, from what earlier imports of this name gave it; what is disputed is kept, counted and named.  The same
    import twice does nothing the second time, unless the dataset lost something of it in between or its conflicts are
    to be decided otherwise.

    Raises:
        MissingInputError: nothing is there.
        DamagedInputError: no labels that are known, none that can be used, or no picture of any.
        UsageError: classes that are not registered; no name.
        ConflictError: the dataset says something else, people are to be asked, and ``ask`` is None.
    """
    from data_engine.stages.dataset_import import read_labels

    name = (wanted.name or name_of(path)).strip()
    if not name:
        raise UsageError("the dataset needs a name", hint="--name NAME")
    renamed = {} if wanted.classes_map is None else class_map(wanted.classes_map)
    with opened(engine, path, wanted.images) as (source, sha256):
        engine.progress.start("reading labels", None, "pictures")

        def measured(picture: str) -> tuple[int, int]:
            engine.progress.advance()
            return size_of(source, picture)

        read = read_labels(source, size_of=measured, only=wanted.format)
        engine.progress.finish()
        pictures = list(labelled(read, name, renamed=renamed, camera=wanted.camera))
        classes, labels = _classes(engine, read, pictures, renamed, wanted)
        if not pictures:
            raise _without_pictures(path, read)
        taken = take_all(engine, source, pictures, write=not wanted.dry_run)
    if not taken.found.frames:
        raise DamagedInputError(f"{path}: no picture can be used; the first: {taken.failures[0].reason}")
    facts = {"source": path.name, "format": read.kind, "sha256": sha256, "by": _user(), "split": wanted.split}
    facts = {key: value for key, value in facts.items() if value}
    gives = Given(
        Import(name, digest(taken.found.frames), facts),
        taken.found.frames,
        taken.frames,
        classes,
        wanted.split,
        wanted.on_conflict,
    )
    given = {"camera": wanted.camera, "classes_map": renamed, "allow_new_classes": wanted.allow_new_classes}
    settings = {
        "name": name,
        "split": wanted.split,
        "on_conflict": wanted.on_conflict,
        **{key: value for key, value in given.items() if value},
        "from": {key: value for key, value in facts.items() if key != "split"},
    }
    outcome = _tried(engine, gives) if wanted.dry_run else _merged(engine, gives, labels.new, settings, ask)
    report = told(
        name,
        read,
        taken,
        outcome,
        labels,
        camera=wanted.camera,
        on_conflict=wanted.on_conflict,
        dry_run=wanted.dry_run,
        command=wanted.command(path),
    )
    made = outcome.version if outcome.made and not wanted.dry_run else None
    leaks = None if made is None else certificate_remark(engine, made)
    return report if leaks is None else replace(report, notes=(*report.notes, leaks))


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a process whose number has no name
        return None


def _classes(
    engine: Engine, read: Imported, pictures: list[Labelled], renamed: Mapping[str, str], wanted: Wanted
) -> tuple[ClassRegistry, Labels]:
    """The registry with the classes of the import, and what there is to say of these.

    A workspace without any takes them over.

    Raises:
        UsageError: classes that are not registered and not allowed, or that no class can be called; a class to rename
            that is not there.
    """
    declared = {category.name for side in read.sides for category in side.dataset.categories}
    if strange := sorted(set(renamed) - declared):
        raise UsageError(
            f"--classes-map renames {listed(strange)}, which the source does not have",
            hint=f"its classes are {listed(sorted(declared))}",
        )
    known = registered_classes(engine)
    used = {box.label for picture in pictures for box in picture.boxes}
    order = dict.fromkeys(
        renamed.get(category.name, category.name) for side in read.sides for category in side.dataset.categories
    )
    new = [label for label in order if label in used and label not in known]
    retired = [label for label in new if label in known.retired]
    if new and known and not wanted.allow_new_classes:
        raise UsageError(
            f"{listed(new)}: not among the registered classes, which are {listed(known.names)}"
            + (f"; retired before: {listed(retired)}" if retired else ""),
            hint=f"rename them: --classes-map {shlex.quote(f'{new[0]}={known.names[0]}')}; or register them"
            f"{', which brings retired ones back' if retired else ''}: --allow-new-classes",
        )
    for label in new:
        if label not in retired and (why := wrong_with_name(label)):
            raise UsageError(why, hint=f"rename it: --classes-map {shlex.quote(f'{label}={_plain(label)}')}")
    unoffered = [label for label in order if label in used and label in known and known.id_of(label) in known.reserved]
    return known.extended(new), Labels(new, retired, unoffered)


def _plain(label: str) -> str:
    """The name without what no name may have."""
    return " ".join("".join(c if c.isprintable() and c != "," else " " for c in label).split()) or "thing"


def _without_pictures(path: Path, read: Imported) -> MissingInputError | DamagedInputError:
    if read.missing:
        return MissingInputError(
            f"{path}: none of {counted(len(read.missing), 'labelled picture')} is there, such as {read.missing[0]}",
            hint="name their folder with --images",
        )
    return DamagedInputError(f"{path}: no picture can be used; the first: {read.failures[0].reason}")


def _merged(engine: Engine, given: Given, new: list[str], settings: Mapping[str, Any], ask: Ask | None) -> Outcome:
    plain = settings_of(settings)
    with alone_with_versions(engine.database):
        given = _as_known(engine, given)
        made = given.made
        with spooled(engine, given) as boxes:
            # Outside of what holds up other writers: a person may be asked.
            decide = answered(engine, given, boxes, ask) if given.on_conflict == "ask" else None
            with engine.runner.run("import", VERSION, plain, inputs=[made.task_id], scope=[made.backend]) as run:
                with engine.database.write() as connection:
                    registered = models.add_classes(connection, new) if new else given.classes
                    if any(registered.id_of(name) != given.classes.id_of(name) for name in new):
                        again = "run the same command again"
                        raise ConflictError("classes were registered at the same moment", hint=again)
                    outcome = merge_import(engine, connection, given, boxes, run=run.id, decide=decide)
                    engine.runner.finish_input(connection, run, [made.task_id])
                if outcome.version is not None:
                    # Also of one that an import made which was killed before its files were written.
                    write_version(engine, outcome.version, outcome.version.key)
    return outcome


def _as_known(engine: Engine, given: Given) -> Given:
    with engine.database.read() as connection:
        made, again = imports.as_known(connection, given.made)
    return replace(given, made=made, again=again)


def _tried(engine: Engine, given: Given) -> Outcome:
    given = _as_known(engine, given)
    with spooled(engine, given) as boxes:
        return tried(engine, given, boxes)
