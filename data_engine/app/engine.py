"""Settings -> objects: a workspace opened for work."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from data_engine import registry
from data_engine.errors import DamagedInputError, MissingInputError, UsageError
from data_engine.lineage import migrate
from data_engine.lineage.database import Database
from data_engine.lineage.ledger import TaskLedger
from data_engine.ports import AnnotationBackend, Embedder, Executor, Progress, Storage, Trainer
from data_engine.runner import Runner
from data_engine.settings import FILE_NAME, Settings, load

STATE_FOLDER = ".dataengine"
"""The tool's own folder inside a workspace: lineage, predictions, mounts."""
_MOUNT = re.compile(r"@[^/@\n]*-[0-9a-f]{8}\b")
"""The first part of the key of a file outside the workspace."""
DATABASE = f"{STATE_FOLDER}/lineage.db"


def utc_now() -> datetime:
    """The present time, in UTC."""
    return datetime.now(UTC)


def find_workspace(start: Path) -> Path | None:
    """The nearest folder from ``start`` upwards that holds ``dataengine.toml``, or None."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / FILE_NAME).is_file()), None)


def present(path: Path) -> bool:
    """Whether there is such a file or folder.

    Raises:
        DamagedInputError: a folder on the way to it may not be looked into.
    """
    try:
        return path.exists()
    except PermissionError:
        raise DamagedInputError(f"{path} cannot be read: permission denied") from None


class Engine:
    """A workspace, or a plain folder, opened for work; a context manager.

    Attributes:
        root: the folder that keys are relative to.
        notes: remarks for people about how it was opened.
        overrides: settings that hold for this command only, by section and name.
        told: remarks that people saw at once, for programs that read the report.
    """

    def __init__(
        self,
        root: Path,
        settings: Settings,
        progress: Progress,
        *,
        in_workspace: bool,
        clock: Callable[[], datetime] = utc_now,
        migrated: bool = True,
    ) -> None:
        self.root = root.resolve()
        self.settings = settings
        self.progress = progress
        self.in_workspace = in_workspace
        self.clock = clock
        self.notes: list[str] = []
        self.told: list[str] = []
        self.storage = cast("Storage", registry.load("storage", "local")(self.root))
        url = settings.database.url
        fresh = url is None and not (self.root / DATABASE).exists()
        self.database = Database(url.get_secret_value() if url else f"sqlite:///{self.root / DATABASE}")
        self.runner = Runner(self.database, clock)
        self.overrides: Mapping[str, Mapping[str, Any]] = {}
        self._cvat: Any = None
        if migrated:
            self.make_state_folder()
            migrate.ensure(self.database, progress.note)
        if migrated and fresh and not in_workspace:
            self.notes.append(f"no workspace here: lineage is kept in {DATABASE} of this folder")

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()

    def another(self, progress: Progress) -> Engine:
        """The same workspace opened once more, for somebody who works at the same time."""
        made = Engine(
            self.root, self.settings, progress, in_workspace=self.in_workspace, clock=self.clock, migrated=False
        )
        made.overrides = self.overrides
        return made

    def make_state_folder(self) -> None:
        """Make the folder that an embedded database lies in.

        Raises:
            DamagedInputError: the folder may not be written.
        """
        if self.settings.database.url is not None:
            return
        try:
            (self.root / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DamagedInputError(f"{self.root} cannot be written: {reason}") from None

    # --- implementations ------------------------------------------------------------------------------------------

    def executor(self, workers: int) -> Executor:
        """Worker processes; none for one worker.  0 means one for each core that this process may use."""
        from data_engine.executors.processes import usable_cpus

        count = workers or usable_cpus()
        if count == 1:
            return cast("Executor", registry.load("executor", "inline")())
        return cast("Executor", registry.load("executor", "processes")(count))

    def backend(self) -> AnnotationBackend:
        """Where people annotate."""
        kind = self.settings.annotation.backend
        make = registry.load("annotation", kind)
        if kind == "local":
            return cast("AnnotationBackend", make(self.storage, clock=self.clock))
        account = self.settings.cvat
        if account.url is None:
            raise UsageError(
                "which CVAT server is meant?", hint="[cvat] url in dataengine.toml, or DATAENGINE_CVAT_URL"
            )
        if self._cvat is None:
            self._cvat = make(
                account.url,
                storage=self.storage,
                ledger=lambda name: TaskLedger(self.database, name, now=self.now),
                project=account.project or self.root.name,
                organization=account.organization,
                known_as=account.known_as,
                token=account.token and account.token.get_secret_value(),
                username=account.username,
                password=account.password and account.password.get_secret_value(),
                timeout_s=account.timeout,
                patience_s=account.patience,
                progress=self.progress,
                remark=self.told.append,
            )
        return cast("AnnotationBackend", self._cvat)

    def trainer(self, kind: str) -> Trainer:
        """The trainer of a kind of model."""
        return cast("Trainer", registry.load("trainer", kind)())

    def embedder(self) -> Embedder:
        """The descriptor that tells which pictures are alike."""
        return cast("Embedder", registry.load("embedder", self.settings.embed.embedder)())

    # --- paths ----------------------------------------------------------------------------------------------------

    def key_of(self, path: Path | None, default: str) -> str:
        """The key of a path that was given, or the workspace's own place."""
        return default if path is None else self.storage.key_of(path)

    def shown(self, key: str) -> str:
        """A key as a path that can be typed where the command was started."""
        path = self.storage.path(key)
        try:
            return os.path.relpath(path)
        except (FileNotFoundError, ValueError):
            return str(path)

    def typed(self, command: str, **keys: str | None) -> str:
        """A command as it is typed where this one was started; an option whose key is None is left out."""
        given = [f" --{name} {shlex.quote(self.shown(key))}" for name, key in keys.items() if key is not None]
        return f"dataengine {command}{''.join(given)}"

    def readable(self, text: str) -> str:
        """A message in which files outside the workspace go by their paths; their keys are of no use to people."""

        def path_of(mount: re.Match[str]) -> str:
            try:
                return str(self.storage.path(mount[0]))
            except MissingInputError:
                return mount[0]

        return _MOUNT.sub(path_of, text)

    def require(self, path: Path | None, default: str, *, hint: str) -> str:
        """The key of an input that must be there.

        Raises:
            MissingInputError: it is not; the hint names the command that makes it.
        """
        key = self.key_of(path, default)
        if not present(self.storage.path(key)):
            raise MissingInputError(f"{path or self.shown(key)} is not there", hint=hint)
        return key

    def stated(self) -> Settings:
        """The settings without those that hold for this command only; UsageError where they are wrong without."""
        return load(self.root / FILE_NAME, os.environ)

    def now(self) -> str:
        """The present as it is recorded."""
        return self.runner.now()


def open_engine(
    start: Path,
    *,
    workspace: Path | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress,
    migrate: bool = True,
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Engine:
    """Open the workspace that ``start`` lies in, or ``start`` itself as a plain folder.

    Args:
        workspace: the workspace's folder, when it was named.
        overrides: settings from the command line, by section and name.
        migrate: bring the lineage database to this release's schema.
        environ: the environment; the process's own by default.

    Raises:
        MissingInputError: the named workspace is not one.
        UsageError: the settings are wrong.
    """
    if workspace is not None and not (workspace / FILE_NAME).is_file():
        raise MissingInputError(
            f"{workspace} is not a workspace (it has no {FILE_NAME})",
            hint=f"run first: dataengine init {shlex.quote(str(workspace))}",
        )
    found = workspace or find_workspace(start)
    root = found or start
    settings = load(root / FILE_NAME, os.environ if environ is None else environ, overrides)
    engine = Engine(root, settings, progress, in_workspace=found is not None, clock=clock, migrated=migrate)
    engine.overrides = overrides or {}
    return engine
