"""A command line whose app is replaced: these tests are about the command line alone."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import data_engine.app
from data_engine.cli.main import main
from data_engine.types import Report


@dataclass
class FakeEngine:
    root: Path
    progress: Any
    overrides: dict[str, dict[str, Any]]
    workspace: Path | None
    migrate: bool
    settings: Any = None
    in_workspace: bool = True
    notes: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    closed: bool = False

    def readable(self, text: str) -> str:
        return text


class FakeApp:
    """Puts functions in the place of ``app``'s and remembers the engines that were opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self._monkeypatch = monkeypatch
        self.root = root
        self.engines: list[FakeEngine] = []
        self.settings: Any = None
        self.notes: list[str] = []
        self.in_workspace = True
        self._module("engine", open_engine=self._open, STATE_FOLDER=".dataengine")

    def set(self, module: str, **functions: Callable[..., Report]) -> None:
        """Replace the functions of a module of ``app``, wherever it lies, by these."""
        self._module(module, **functions)

    def status(self, outcome: Report | BaseException) -> None:
        """Make ``dataengine status`` end so."""

        def status(engine: FakeEngine) -> Report:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        self.set("status", status=status)

    def _module(self, name: str, **members: Any) -> None:
        (file,) = Path(data_engine.app.__path__[0]).rglob(f"{name}.py")
        package = data_engine.app if file.parent.name == "app" else import_module(f"data_engine.app.{file.parent.name}")
        module = types.ModuleType(f"{package.__name__}.{name}")
        vars(module).update(members)
        self._monkeypatch.setitem(sys.modules, module.__name__, module)
        self._monkeypatch.setattr(package, name, module, raising=False)

    @contextmanager
    def _open(
        self, start: Path, *, workspace: Path | None, overrides: Any, progress: Any, migrate: bool = True
    ) -> Iterator[FakeEngine]:
        engine = FakeEngine(self.root, progress, overrides, workspace, migrate, self.settings, self.in_workspace)
        engine.notes += self.notes
        self.engines.append(engine)
        try:
            yield engine
        finally:
            engine.closed = True


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeApp:
    monkeypatch.chdir(tmp_path)
    return FakeApp(monkeypatch, tmp_path)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def call(*words: str) -> Result:
        code = main(words)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call
