"""The entry point: finds the command and turns every outcome into text and an exit code.

The list of commands comes from the table in :mod:`data_engine.stages`; a command's own module is imported when it
is called, so ``dataengine --help`` costs what Typer costs.  Only Typer's public names are used: its newest
releases carry their own copy of click, older ones import it.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from data_engine import __version__
from data_engine.cli.usage import CONTEXT_SETTINGS, write_options
from data_engine.errors import DataEngineError, UsageError
from data_engine.stages import COMMANDS, FLOW, OTHERS

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "dataengine"
INTERRUPTED = 130
STDOUT_CLOSED = 141
"""What a shell reports for a program that was stopped by a closed pipe (128 + SIGPIPE)."""

_WrongUsage: type[Exception] = typer.BadParameter.__mro__[1]
"""The parser's own class for wrong usage, wherever this Typer keeps it."""


class LoopGroup(TyperGroup):
    """The commands of the table, in its order; each is imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return [step.command for step in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"data_engine.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and name not in self.list_commands(ctx):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            raise UsageError(
                f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
                hint=f"{PROGRAM} --help",
            )
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, steps in (("The loop", FLOW), ("Beside it", OTHERS)):
            with formatter.section(title):
                formatter.write_dl([(f"{step.number or ' '} {step.command}", step.help) for step in steps])
        write_options(self, ctx, formatter)


app = typer.Typer(
    cls=LoopGroup,
    name=PROGRAM,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT_SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(epilog=f"{PROGRAM} COMMAND --help tells more about one command.")
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Closes the data flywheel for detectors on video: footage in, a better detector out."""


def main(arguments: Sequence[str] | None = None, *, command: Sequence[str] = ()) -> int:
    """Run one command line.

    Args:
        arguments: the words after the program's name; those of this process when None.
        command: words to put before them (the numbered scripts are one command each).

    Returns:
        the exit code; what is not an expected error propagates with its traceback.
    """
    words = [*command, *(sys.argv[1:] if arguments is None else arguments)]
    for stream in (sys.stdout, sys.stderr):
        # A file name that is not text in this terminal's encoding must not end the work.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        code = _call(words)
        sys.stdout.flush()
    except DataEngineError as error:
        return _fail(words, error.message, error.hint, error.exit_code)
    except _WrongUsage as error:
        return _fail(words, _message(error), _hint(error, words), UsageError.exit_code)
    except KeyboardInterrupt:
        return _fail(words, "interrupted; run the same command again to go on", "", INTERRUPTED, label="")
    except BrokenPipeError:
        # A pipe between processes can break too, and that is a bug to be seen; only our reader may leave early.
        if not _stdout_is_closed():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STDOUT_CLOSED
    return code


def _call(words: list[str]) -> int:
    root = typer.main.get_command(app)
    if f"_{PROGRAM.upper()}_COMPLETE" in os.environ:
        root.main(words, prog_name=PROGRAM)
    try:
        with root.make_context(PROGRAM, words or ["--help"]) as context:
            result = root.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return result if isinstance(result, int) else 0


def _fail(words: Sequence[str], message: str, hint: str, code: int, *, label: str = "error: ") -> int:
    from data_engine.cli.logs import Redactor
    from data_engine.cli.output import write_error

    # What was typed in the wrong place may hold a password, too.
    write_error(Redactor()(message), hint, code, as_json="--json" in words, label=label)
    return code


def _message(error: Exception) -> str:
    if _is_before_the_command(error):
        return f"no such option {error.option_name!r} before the command"  # type: ignore[attr-defined]
    text: str = error.format_message() if hasattr(error, "format_message") else str(error)
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _hint(error: Exception, words: Sequence[str]) -> str:
    if _is_before_the_command(error):
        return f"a command's options stand after its name: {PROGRAM} status --json"
    context = getattr(error, "ctx", None)
    if context is not None:
        return f"{context.command_path} --help"
    # The parser forgets where it was when an option lacks its value.
    return f"{PROGRAM} {words[0]} --help" if words[0] in {step.command for step in COMMANDS} else f"{PROGRAM} --help"


def _is_before_the_command(error: Exception) -> bool:
    context = getattr(error, "ctx", None)
    return hasattr(error, "option_name") and context is not None and context.parent is None


def _stdout_is_closed() -> bool:
    """Whether nobody reads our output any more; a failed write alone does not tell whose pipe broke."""
    import select

    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return False
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))
