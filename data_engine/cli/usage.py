"""How the help of a command looks: plain text, options in groups, no colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class GroupedCommand(TyperCommand):
    """A command whose options stand below the title that they were given (``rich_help_panel``)."""

    argument_help: ClassVar[Mapping[str, str]] = {}
    """What to say about each argument: Typer 0.25 with click 8.5 loses it."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)


def write_options(command: Any, ctx: Any, formatter: Any) -> None:
    """Write a command's arguments and options, a section a title."""
    for title, rows in sections_of(command, ctx).items():
        with formatter.section(title):
            formatter.write_dl(rows)


def sections_of(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """A command's arguments and options as (name, help) by title: arguments first, else as the titles appear."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            default = "Arguments" if parameter.param_type_name == "argument" else "Options"
            # Click adds --help itself, without a title; Typer's own completion options have none either.
            title = getattr(parameter, "rich_help_panel", None) or default
            name, text = record
            lost = getattr(command, "argument_help", {}).get(parameter.name, "")
            sections.setdefault(title, []).append((name, text if lost in text else f"{lost}  {text}".rstrip()))
    return {title: rows for title, rows in sections.items() if rows}
