"""``dataengine dataset errors``: boxes that a model contradicts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command
from data_engine.cli.dataset_group import app
from data_engine.stages.predict import PredictSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine


@command(app, "dataset errors", sections={"predict": PredictSettings})
def errors(
    engine: "Engine",
    *,
    model: Annotated[Path | None, typer.Option(help="The model to ask. Else the one in use.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Findings at most.")] = 50,
    name: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="Only of this class, labelled or said.")
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only on frames that the model did not learn from.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="The JSON file; a page stands beside it. Else label_errors.json.")
    ] = None,
) -> Report:
    """Find the boxes of the newest version that the model contradicts.

    Overlooked, swapped and badly placed ones, then those where it sees nothing; the worst first.
    """
    from data_engine.app.dataset import label_errors

    return label_errors.errors(engine, model=model, limit=limit, name=name, held_out=held_out, output=output)
