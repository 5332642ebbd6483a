"""``init``: make a workspace."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from data_engine.app.engine import open_engine
from data_engine.app.models.models import registered_classes
from data_engine.errors import ConflictError, DamagedInputError, UsageError
from data_engine.ports import Progress
from data_engine.settings import FILE_NAME, load
from data_engine.stages import FLOW
from data_engine.types import Report, wrong_with_name

VIDEOS = "videos_raw/"
_NO_CLASSES = re.compile(rb"^classes = \[\s*\]", re.MULTILINE)


def folders() -> tuple[str, ...]:
    """The folders of a workspace, in the order of the loop."""
    made = [place for step in FLOW for place in step.places if place.endswith("/")]
    return (*made, "annotation/", "logs/")


def init(folder: Path, *, classes: tuple[str, ...] = (), progress: Progress) -> Report:
    """Make ``folder`` a workspace: its settings file, its folders and its database.

    Safe to run again: nothing that is there is changed, except that a workspace without classes gets those named.

    Raises:
        ConflictError: it is a workspace already, with other classes than those named.
        UsageError: a class without a name, or twice.
        DamagedInputError: the folder cannot be made.
    """
    from data_engine.storage.local import LocalStorage

    file = folder / FILE_NAME
    known = file.is_file()
    # Checked before anything is made: a settings file that nobody can load would be in the way for ever.
    load(None, {}, {"workspace": {"classes": classes}})
    if why := next(filter(None, map(wrong_with_name, classes)), None):
        raise UsageError(why, hint="choose another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in folders():
            (folder / name).mkdir(exist_ok=True)
    except OSError as error:
        raise DamagedInputError(f"{error.filename} cannot be made: {(error.strerror or str(error)).lower()}") from None
    if not known:
        LocalStorage(folder).write_bytes(FILE_NAME, _settings_text(classes).encode())
    elif classes:
        text = file.read_bytes()
        LocalStorage(folder).write_bytes(FILE_NAME, _NO_CLASSES.sub(_classes_line(classes).encode(), text, count=1))
    with open_engine(folder, workspace=folder, progress=progress) as engine:
        if known and classes and tuple(engine.settings.workspace.classes) != classes:
            raise ConflictError(
                f"{file} names other classes: {', '.join(engine.settings.workspace.classes) or 'none'}",
                hint=f"edit classes below [workspace] in {file}",
            )
        registered = registered_classes(engine).names
    return Report(
        title=f"{folder} is a workspace" + (" already" if known else ""),
        data={"workspace": str(folder), "settings": str(file), "classes": list(registered)},
        next=f"put videos into {folder / VIDEOS}, then: {_there(folder)}dataengine sample",
    )


def _there(folder: Path) -> str:
    return "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "


def _classes_line(classes: tuple[str, ...]) -> str:
    return f"classes = [{', '.join(json.dumps(name, ensure_ascii=False) for name in classes)}]"


def _settings_text(classes: tuple[str, ...]) -> str:
    return f"""# Settings of this workspace.  Everything has a default: dataengine COMMAND --help shows them.
# Order of precedence: built in < this file < DATAENGINE_<SECTION>_<NAME> < options.

[workspace]
# Class names in the order of their ids.  Add new ones at the end; an id, once given, stays.
{_classes_line(classes)}

# [database]
# url = "postgresql://user@host/name"   # better in DATAENGINE_DATABASE_URL when it holds a password

# [sample]
# method = "tiles"   # for static cameras; "scene-change" for others

# [filter]
# budget = 500

# [retrain]
# kind = "rfdetr"

# [run]
# frames_per_round = 200   # and minutes_per_round: what people get at most before the next training
"""
