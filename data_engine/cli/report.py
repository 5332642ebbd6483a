"""``dataengine report``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "report")
def report(
    engine: "Engine",
    *,
    output: Annotated[Path | None, typer.Option(help="The page. Else report.html in the workspace.")] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate/--no-evaluate", help="Measure the rounds' models on today's pictures.")
    ] = True,
) -> Report:
    """One page that needs no network; --json tells everything that it shows."""
    from data_engine.app.rounds import report as app_report

    return app_report.report(engine, output=output, evaluate=evaluate)
