"""The command line's reference as Markdown, made from the commands themselves.

``python -m data_engine.cli.reference > docs/cli.md`` writes it anew; a test compares the two.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import typer

from data_engine.cli.main import PROGRAM, app
from data_engine.cli.usage import sections_of
from data_engine.stages import COMMANDS

_EVERYWHERE = "Every command"
_HELP = "-h, --help"


def reference() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    context = root.make_context(PROGRAM, [], resilient_parsing=True)
    body: list[str] = []
    everywhere: list[tuple[str, str]] = []
    for step in COMMANDS:
        command = root.get_command(context, step.command)  # type: ignore[attr-defined]
        body += [f"## {step.command}", ""]
        for path, one in _with_its_own(command, f"{PROGRAM} {step.command}"):
            its_context = one.make_context(path, [], resilient_parsing=True)
            sections = sections_of(one, its_context)
            shared = sections.pop(_EVERYWHERE, [])
            everywhere += [row for row in shared if row not in everywhere]
            if one is not command:
                body += [f"### {path.removeprefix(PROGRAM).strip()}", ""]
            body += _one(path, one, its_context, sections)
    table = _table([row for row in everywhere if row[0] != _HELP] + [(_HELP, "Show the help and exit.")])
    head = [
        f"# {PROGRAM}: every command",
        "",
        "Written by `python -m data_engine.cli.reference`; edit the commands, not this page.",
        "",
        "Bounds and defaults stand in brackets. A setting without a default there is left to the command.",
        "",
        "Every command also takes these; `init` and `demo` name their folder themselves and take no `--workspace`:",
        "",
        *table,
    ]
    return "\n".join([*head, *body]).rstrip() + "\n"


def _with_its_own(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The command, and those of its group."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield f"{path} {name}", inner


def _one(path: str, command: Any, context: Any, sections: dict[str, list[tuple[str, str]]]) -> list[str]:
    lines = ["```text", " ".join([path, *command.collect_usage_pieces(context)]), "```", ""]
    for text in (command.help, command.epilog):
        lines += [
            " ".join(paragraph.split()) + "\n" for paragraph in inspect.cleandoc(text or "").split("\n\n") if text
        ]
    for title, rows in sections.items():
        # --help is among those of every command.
        told = [row for row in rows if row[0] != _HELP]
        if told:
            lines += [f"{title}:", "", *_table(told)]
    return lines


def _table(rows: list[tuple[str, str]]) -> list[str]:
    cells = ((name.replace("|", "\\|"), " ".join(text.split()).replace("|", "\\|")) for name, text in rows)
    return ["| | |", "| --- | --- |", *(f"| `{name}` | {text} |" for name, text in cells), ""]


if __name__ == "__main__":
    sys.stdout.write(reference())
