"""How the help of a command looks: plain text, options in groups, no colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, slots=True)
class OptionalValue:
    """Marks an option, in its annotation, that may be typed without a value; that is then the empty text."""

    metavar: str
    """How the help shows the value: ``[FILE]``."""


class GroupedCommand(TyperCommand):
    """A command whose options stand below the title that they were given (``rich_help_panel``)."""

    argument_help: ClassVar[Mapping[str, str]] = {}
    """What to say about each argument: Typer 0.25 with click 8.5 loses it."""
    optional_values: ClassVar[Mapping[str, OptionalValue]] = {}
    """The options that may be typed without a value, by the names of their parameters."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            marked = self.optional_values.get(parameter.name or "")
            if marked is not None:
                parameter.metavar = marked.metavar

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        names = {name for one in self.params if one.name in self.optional_values for name in one.opts}
        return super().parse_args(ctx, _with_values(args, names))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)


def _with_values(words: Sequence[str], names: Collection[str]) -> list[str]:
    """The words, with an empty one after each option of these names that has no value (Typer knows no such options)."""
    completed: list[str] = []
    for number, word in enumerate(words):
        completed.append(word)
        if word == "--":
            return [*completed, *words[number + 1 :]]
        if word in names and (number + 1 == len(words) or words[number + 1].startswith("-")):
            completed.append("")
    return completed


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
