"""Questions that are asked on the terminal: before something goes for good, and where two sides disagree."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from data_engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data_engine.app.merge.export_conflicts import Ask


def confirmed(question: str) -> bool:
    """Whether somebody says yes; without a terminal nothing is taken for a yes.

    Raises:
        UsageError: nobody is there to be asked.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{question}: nobody is there to be asked", hint="add --yes")
    return bool(typer.confirm(f"{question}. Go on?", err=True))


def asking() -> "Ask | None":
    """Who asks which of two sides counts; None where nobody sits at a terminal."""
    return _which_counts if sys.stdin.isatty() and sys.stderr.isatty() else None


def _which_counts(question: str, rows: "Sequence[Mapping[str, Any]]", answers: "Sequence[str]") -> str:
    """Show both sides and ask which counts."""
    from data_engine.cli.output import write_table

    typer.echo(question, err=True)
    write_table(rows, sys.stderr)
    numbered = {str(number): answer for number, answer in enumerate(answers, 1)}
    asked = ", ".join(f"{number} for {answer}" for number, answer in numbered.items())
    while True:
        said = typer.prompt(f"Which counts? {asked}", err=True).strip()
        if said in numbered or said in answers:
            return numbered.get(said, said)
