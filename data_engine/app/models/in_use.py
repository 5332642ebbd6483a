"""Which model is in use: lineage says it, a file of its own holds it, and what lies between them is mended.

The file is a copy of the model's own, so that what somebody copies over it does not change the model that was there.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath

from data_engine.app.engine import Engine, present
from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.lineage import champions, models
from data_engine.lineage.champions import ChampionRow
from data_engine.lineage.database import Connection
from data_engine.types import ID_LENGTH, Check, Model, content_id
from data_engine.words import counted

FOLDER = "models"
KINDS = ("rfdetr", "yolo")
SHORT = 8
"""Digits of a model's id that people are shown."""


def champion_key(kind: str) -> str:
    """Where the model in use of a kind lies."""
    return f"{FOLDER}/{kind}_best.onnx"


def current_model(engine: Engine, given: Path | None, *, recorded: bool = True, mend: bool = True) -> Path | None:
    """The model file to use: the one that was named, else that of the model in use; None before the first.

    Where nothing was decided about models yet: the one of the kind that was trained last, then of the settings' kind.
    What a promotion that was killed left undone is done; a file that is not the promoted model's is used, and said so.

    Args:
        recorded: whether lineage can be asked.
        mend: whether files may be changed.

    Raises:
        MissingInputError: the named file is not there.
    """
    if given is not None:
        if not present(given):
            raise MissingInputError(
                f"{given} is not there", hint="run first: dataengine retrain, or name another --model"
            )
        return given
    row = kind = None
    if recorded:
        with engine.database.read() as connection:
            row = champions.newest(connection)
        if row is not None and mend and not (row.placed and engine.storage.exists(champion_key(row.kind))):
            row = place(engine)
    first = engine.settings.retrain.kind
    there = [
        kind
        for kind in (first, *(kind for kind in KINDS if kind != first))
        if engine.storage.exists(champion_key(kind))
    ]
    if not there:
        return None
    if row is not None:
        kind = row.kind
    elif recorded:
        with engine.database.read() as connection:
            kind = models.kind_trained_last(connection)
    path = engine.storage.path(champion_key(kind if kind in there else there[0]))
    if row is not None and mend:
        _notice(engine, path, row)
    return path


def standing_of(engine: Engine) -> Check | None:
    """Whether the file in use is the model's that came into use last; None where nothing was decided yet."""
    with engine.database.read() as connection:
        line = champions.line(connection)
        model = models.by_id(connection, line[0].model_id) if line else None
    if not line or model is None:
        return None
    row, path = line[0], engine.storage.path(champion_key(line[0].kind))
    what = f"{row.kind} {row.model_id[:SHORT]}, since {row.at[:10]}, {counted(len(line) - 1, 'model')} to go back to"
    if path.is_file() and is_model(engine, path, model):
        return Check("champion", "ok", what)
    if not row.placed or not path.is_file():
        return Check("champion", "warn", f"{what}; its file is not in place", "dataengine status puts it there")
    other = f"{engine.shown(champion_key(row.kind))} is another one's, which somebody put there"
    return Check("champion", "warn", f"{what}, but {other}", "dataengine promote --rollback has the first one back")


def place(engine: Engine) -> ChampionRow | None:
    """Make the files those that lineage says are in use; its row.

    Only of the kinds that the last decision was about: another one's file may be somebody's own.
    """
    while True:
        with engine.database.read() as connection:
            row = champions.newest(connection)
            wanted = {} if row is None else _wanted(connection, row)
        for kind, model in wanted.items():
            if model is None:
                engine.storage.delete(champion_key(kind))
            elif engine.storage.exists(model.key):
                _copy(engine, model.key, champion_key(kind))
        if row is None:
            return None
        with engine.database.write() as connection:
            newest = champions.newest(connection)
            if newest is not None and newest.number == row.number:
                champions.set_placed(connection, row.number)
                return replace(row, placed=True)
        # Somebody decided anew in this very moment: the files are to be as that says.


def _wanted(connection: Connection, row: ChampionRow) -> dict[str, Model | None]:
    """The model whose file is to be in use, of each kind that a decision was about; None for no model at all."""
    over = None if row.over_id is None else models.by_id(connection, row.over_id)
    wanted: dict[str, Model | None] = {}
    for kind in {row.kind, *(() if over is None else (over.kind,))}:
        of_kind = champions.champion(connection, kind)
        wanted[kind] = None if of_kind is None else models.by_id(connection, of_kind.model_id)
    return wanted


def _copy(engine: Engine, source: str, target: str) -> None:
    if holds(engine, engine.storage.path(target), source):
        return
    path = engine.storage.path(source)
    found = path.stat()
    with engine.storage.writing(target) as temporary:
        shutil.copyfile(path, temporary)
        # By which it is known again without reading it.
        os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))


def holds(engine: Engine, path: Path, key: str) -> bool:
    """Whether a file holds what lies under a key: by size and time, as a copy of ours has them, else by content."""
    from data_engine.media.images import sha256_of

    other = engine.storage.path(key)
    if not (path.is_file() and other.is_file()):
        return False
    one, two = path.stat(), other.stat()
    if (one.st_size, one.st_mtime_ns) == (two.st_size, two.st_mtime_ns):
        return True
    return one.st_size == two.st_size and sha256_of(path) == sha256_of(other)


def is_model(engine: Engine, path: Path, model: Model) -> bool:
    """Whether a file is that of a model, also where the model's own is gone."""
    from data_engine.media.images import sha256_of

    if engine.storage.exists(model.key):
        return holds(engine, path, model.key)
    return sha256_of(path)[:ID_LENGTH] == model.id


def refuse_changed(engine: Engine, model: Model) -> None:
    """Nothing where the file of a model, if it is there, still has the bytes by which the model goes.

    Raises:
        DamagedInputError: somebody wrote something else over it.
    """
    from data_engine.media.images import sha256_of

    if not engine.storage.exists(model.key):
        return
    digest = sha256_of(engine.storage.path(model.key))
    # One whose classes were named for it goes by these, too.
    if model.id not in (digest[:ID_LENGTH], content_id("model", digest, *model.class_names)):
        raise DamagedInputError(
            f"{engine.shown(model.key)} is not model {model.id[:SHORT]} any more: somebody wrote over it",
            hint="dataengine models list shows the others; dataengine retrain makes this one again",
        )


def refuse_changed_weights(engine: Engine, model: Model, key: str) -> None:
    """Nothing where a checkpoint is the one that its training wrote beside the model, or where no training tells.

    Args:
        key: of the checkpoint.

    Raises:
        DamagedInputError: somebody wrote something else over it, or the folder is another training's by now.
    """
    from data_engine.media.images import sha256_of
    from data_engine.trainers.workdir import digests_of

    wanted = digests_of(engine.storage.path(key).parent)
    if wanted is None:
        return
    names = {digest[:ID_LENGTH]: name for name, digest in wanted.items()}
    if model.id in names and wanted.get(PurePosixPath(key).name) == sha256_of(engine.storage.path(key)):
        return
    raise DamagedInputError(
        f"{engine.shown(key)} is not the checkpoint of model {model.id[:SHORT]} any more: somebody wrote over it",
        hint="dataengine models list shows the others; dataengine retrain makes this one again",
    )


def keep(engine: Engine, model: Model, path: Path) -> Model:
    """Give a model from elsewhere a file of its own in the workspace, which nothing that comes into use replaces."""
    own = f"{FOLDER}/{model.kind}/{model.id[:12]}/model{path.suffix}"
    if model.key.startswith(f"{FOLDER}/{model.kind}/") and engine.storage.exists(model.key):
        return model
    _copy(engine, engine.storage.key_of(path), own)
    with engine.database.write() as connection:
        models.move(connection, model.id, own)
    return replace(model, key=own)


def _notice(engine: Engine, path: Path, row: ChampionRow) -> None:
    """Say so where the file in use is not the model's that lineage says is in use."""
    with engine.database.read() as connection:
        model = models.by_id(connection, row.model_id)
    if model is None or (model.kind == row.kind and is_model(engine, path, model)):
        return
    note = (
        f"{engine.shown(engine.storage.key_of(path))} is not model {row.model_id[:SHORT]}, which came into use on "
        f"{row.at[:10]}: somebody put it there, and it is used; dataengine promote --rollback has the other one back"
    )
    if note not in engine.notes:
        engine.notes.append(note)
