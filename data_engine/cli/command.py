"""Makes a command of a function: options to settings, one call, one report.

The function's first parameter says what it needs: ``engine`` (a workspace with its settings and its database) or
``progress`` (nothing but somebody to tell).  Its keyword parameters are Typer options or arguments of their own;
the options of the settings sections and those that every command has are added here.
"""

from __future__ import annotations

import inspect
import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer
from typer.models import ArgumentInfo, ParameterInfo

from data_engine.cli.logs import (
    JsonLines,
    Redactor,
    secrets_in_environment,
    secrets_in_settings,
    set_up,
    take_down,
)
from data_engine.cli.options import SettingOption, options_of, overrides_of
from data_engine.cli.output import write_note, write_report
from data_engine.cli.progress import make_progress
from data_engine.cli.usage import CONTEXT_SETTINGS, GroupedCommand, OptionalValue
from data_engine.errors import DataEngineError
from data_engine.stages import step_of
from data_engine.types import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from data_engine.ports import Progress
    from data_engine.stages.base import StageSettings
    from data_engine.types import Report

_logger = logging.getLogger(__name__)

_EVERYWHERE = "Every command"
LOGS = "logs"
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Common:
    """The options that every command has."""

    json: bool
    quiet: bool
    verbose: bool
    log_level: LogLevel
    workspace: Path | None = None


def new_app(command: str = "") -> typer.Typer:
    """An empty Typer app for one command, or for the group of commands of that name."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=CONTEXT_SETTINGS,
        help=step_of(command).help if command else None,
    )
    if command:
        # Typer makes a group of an app with one command only when it has a callback.
        app.callback()(lambda: None)
    return app


def command(
    app: typer.Typer,
    name: str,
    *,
    sections: Mapping[str, type[StageSettings]] | None = None,
    prefixed: bool = False,
    migrate: bool = True,
) -> Callable[[Callable[..., Report]], Callable[..., Report]]:
    """Register the decorated function as a command.

    Args:
        app: from :func:`new_app`.
        name: the command as it is typed: ``sample``, or ``review list`` for one of a group.
        sections: the settings that become options, by their section in the settings tree.
        prefixed: put the section's name before its options, but for the command's own section.
        migrate: bring the database up to date when it is opened.
    """
    options = options_of(sections or {}, prefixed=prefixed, own=name)

    def register(function: Callable[..., Report]) -> Callable[..., Report]:
        needs, own = _parameters(function)

        def call(**values: Any) -> int:
            common = Common(**{field: values.pop(f"common__{field}") for field in _common(needs)})
            overrides = overrides_of(options, values, hint=f"dataengine {name} --help")
            arguments = {parameter.name: values[parameter.name] for parameter in own}
            with _Session(name, common) as session:
                _logger.info("started", extra={"arguments": arguments, "options": overrides})
                if needs == "engine":
                    with session.engine(overrides, migrate=migrate) as engine:
                        return session.finish(function(engine, **arguments), told=engine.told)
                report = function(session.progress, **arguments)
                folder = arguments.get("folder")
                if isinstance(folder, Path):
                    session.log_to(folder)
                return session.finish(report)

        _set_signature(call, own, options, _common(needs))
        first, *others = name.split()
        app.command(
            name=others[-1] if others else first,
            cls=type(
                "Command",
                (GroupedCommand,),
                {"argument_help": _argument_help(own), "optional_values": _optional_values(own)},
            ),
            help=_help(first, function, is_group=bool(others)),
            context_settings=CONTEXT_SETTINGS,
            epilog=None if others else _epilog(first),
        )(call)
        return function

    return register


class _Session:
    """One run of a command: its log, its progress, its secrets."""

    def __init__(self, name: str, common: Common) -> None:
        self._name, self._common = name, common
        self._redact = Redactor(secrets_in_environment(os.environ))
        self._log = JsonLines(name, self._redact)
        self._began = time.monotonic()
        self._finished = False
        self._readable: Callable[[str], str] = str
        self.progress: Progress = make_progress(quiet=common.quiet, redact=self._redact)

    def __enter__(self) -> _Session:
        self._handlers = set_up(self._log, self._redact, level=self._common.log_level, verbose=self._common.verbose)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.progress.finish()
        if isinstance(error, DataEngineError):
            error.message = self._redact(self._readable(error.message))
            error.hint = self._redact(self._readable(error.hint))
            error.args = (error.message,)
            _logger.error("failed: %s", error.message, extra={"code": error.exit_code, **self._seconds()})
        elif isinstance(error, KeyboardInterrupt):
            _logger.warning("interrupted", extra=self._seconds())
        elif isinstance(error, Exception):
            what = "the result could not be written" if self._finished else "failed"
            _logger.error(what, exc_info=error, extra=self._seconds())
        if self._log.problem and not self._common.quiet:
            write_note(self._log.problem)
        take_down(self._handlers)

    @contextmanager
    def engine(self, overrides: Mapping[str, Mapping[str, Any]], *, migrate: bool) -> Iterator[Any]:
        from data_engine.app.engine import STATE_FOLDER, open_engine
        from data_engine.app.pages.running import TellingProgress

        with (
            TellingProgress(self.progress, self._name) as progress,
            open_engine(
                Path.cwd(),
                workspace=self._common.workspace,
                overrides=overrides,
                progress=progress,
                migrate=migrate,
            ) as engine,
        ):
            self._redact.add(secrets_in_settings(engine.settings))
            self._readable = engine.readable
            folder = engine.root if engine.in_workspace else engine.root / STATE_FOLDER
            # What only looks leaves nothing in a folder that is not this program's.
            if migrate or folder.is_dir():
                self.log_to(folder)
            progress.attach(engine.root)
            told = self._tell(engine.notes)
            try:
                yield engine
            finally:
                self._tell(engine.notes[told:])

    def _tell(self, notes: Sequence[str]) -> int:
        for note in () if self._common.quiet else notes:
            write_note(self._redact(note))
        return len(notes)

    def log_to(self, folder: Path) -> None:
        self._log.attach(folder / LOGS)

    def finish(self, report: Report, *, told: Sequence[str] = ()) -> int:
        self.progress.finish()
        report = replace(
            report,
            failures=tuple(
                Failed(self._readable(f.input_id), self._redact(self._readable(f.reason))) for f in report.failures
            ),
            notes=tuple(self._redact(self._readable(note)) for note in report.notes),
        )
        for failure in report.failures:
            _logger.error("failed: %s: %s", failure.input_id, failure.reason)
        _logger.info("finished: %s", report.title, extra={"report": report.data, **self._seconds()})
        self._finished = True
        return write_report(report, as_json=self._common.json, quiet=self._common.quiet, told=told)

    def _seconds(self) -> dict[str, float]:
        return {"seconds": round(time.monotonic() - self._began, 3)}


def _parameters(function: Callable[..., Report]) -> tuple[Literal["engine", "progress"], list[inspect.Parameter]]:
    """What the function needs, and its own options with their annotations resolved.

    The first parameter's annotation is left alone: it names a class that importing the command must not load.
    """
    first, *own = inspect.signature(function).parameters.values()
    if first.name not in ("engine", "progress"):
        raise TypeError(f"the first parameter of {function.__name__} is {first.name}: engine or progress expected")

    class Own:
        __annotations__ = {parameter.name: parameter.annotation for parameter in own}

    hints = get_type_hints(Own, getattr(function, "__globals__", {}), include_extras=True)
    needs: Literal["engine", "progress"] = "engine" if first.name == "engine" else "progress"
    for hint in hints.values():
        for info in get_args(hint)[1:]:
            if isinstance(info, ParameterInfo):
                # A file that may not be read is an input at fault, not wrong usage: what reads it says so.
                info.readable = False
    return needs, [parameter.replace(annotation=hints[parameter.name]) for parameter in own]


def _argument_help(own: Sequence[inspect.Parameter]) -> dict[str, str]:
    told = {parameter.name: info for parameter in own for info in get_args(parameter.annotation)[1:]}
    return {name: info.help for name, info in told.items() if isinstance(info, ArgumentInfo) and info.help}


def _optional_values(own: Sequence[inspect.Parameter]) -> dict[str, OptionalValue]:
    told = {parameter.name: info for parameter in own for info in get_args(parameter.annotation)[1:]}
    return {name: info for name, info in told.items() if isinstance(info, OptionalValue)}


def _common(needs: str) -> dict[str, inspect.Parameter]:
    """Parameters of the fields of :class:`Common` that the command takes; without an engine there is no workspace."""

    def parameter(field: str, kind: Any, default: object, *names: str, help: str, **more: Any) -> inspect.Parameter:
        option = typer.Option(*names, help=help, rich_help_panel=_EVERYWHERE, **more)
        return inspect.Parameter(
            f"common__{field}", inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
        )

    fields = {
        "json": parameter("json", bool, False, "--json", help="Write the result to stdout as one JSON object."),
        "quiet": parameter(
            "quiet", bool, False, "--quiet", "-q", help="Write nothing but errors, and --json's result."
        ),
        "verbose": parameter("verbose", bool, False, "--verbose", "-v", help="Write the log to stderr too."),
        "log_level": parameter(
            "log_level",
            LogLevel,
            "info",
            "--log-level",
            help="What goes into the workspace's logs folder.  [default: info]",
            show_default=False,
        ),
    }
    if needs == "engine":
        fields["workspace"] = parameter(
            "workspace",
            Path | None,
            None,
            "--workspace",
            "-w",
            help="The workspace's folder; else the nearest one from here upwards.",
            show_default=False,
        )
    return fields


def _set_signature(
    call: Callable[..., Any],
    own: list[inspect.Parameter],
    options: tuple[SettingOption, ...],
    common: Mapping[str, inspect.Parameter],
) -> None:
    parameters = [
        *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own),
        *(option.parameter for option in options),
        *common.values(),
    ]
    # Typer reads a command's options from its signature.
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _help(command: str, function: Callable[..., Report], *, is_group: bool) -> str:
    text = inspect.getdoc(function) or ""
    return text if is_group else f"{step_of(command).help}\n\n{text}".rstrip()


def _epilog(command: str) -> str | None:
    step = step_of(command)
    if not step.consumes:
        return None
    place = f" ({', '.join(step.places)})" if step.places else ""
    number = f"Step {step.number}" if step.number else "A step"
    script = f" The same as scripts/{step.script}." if step.script else ""
    return f"{number} of the loop: {step.consumes} -> {step.produces}{place}.{script}"
