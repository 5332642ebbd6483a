"""Names to implementations, imported on first use.

Adding a backend is adding a line here and passing its port's contract suite.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from data_engine.errors import MissingDependencyError, UsageError
from data_engine.words import installing

IMPLEMENTATIONS: dict[str, dict[str, tuple[str, str]]] = {
    "storage": {"local": ("data_engine.storage.local:LocalStorage", "")},
    "executor": {
        "inline": ("data_engine.executors.inline:InlineExecutor", ""),
        "processes": ("data_engine.executors.processes:ProcessExecutor", ""),
    },
    "trainer": {
        "yolo": ("data_engine.trainers.yolo:YoloTrainer", "yolo"),
        "rfdetr": ("data_engine.trainers.rfdetr:RfDetrTrainer", "rfdetr"),
    },
    "embedder": {"local": ("data_engine.embedders.local:LocalEmbedder", "")},
    "annotation": {
        "local": ("data_engine.annotation.local:LocalBackend", ""),
        "cvat": ("data_engine.annotation.cvat:CvatBackend", "cvat"),
    },
}
"""port -> name -> (``module:attribute``, the extra that it needs)."""


def load(port: str, name: str) -> Any:
    """The class behind a name.

    Raises:
        UsageError: no such name; the known ones are listed.
        MissingDependencyError: its packages are not installed; the hint is the install command.
    """
    known = IMPLEMENTATIONS[port]
    if name not in known:
        raise UsageError(f"there is no {port} {name!r}: choose {', '.join(sorted(known))}")
    target, extra = known[name]
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "data_engine":
            raise
        hint = installing(extra) if extra else f"pip install {error.name}"
        raise MissingDependencyError(f"{port} {name!r} needs the package {error.name}", hint=hint) from error
