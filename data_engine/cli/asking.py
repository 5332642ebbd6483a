"""Questions that are asked on the terminal before something goes for good."""

import sys

import typer

from data_engine.errors import UsageError


def confirmed(question: str) -> bool:
    """Whether somebody says yes; without a terminal nothing is taken for a yes.

    Raises:
        UsageError: nobody is there to be asked.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{question}: nobody is there to be asked", hint="add --yes")
    return bool(typer.confirm(f"{question}. Go on?", err=True))
