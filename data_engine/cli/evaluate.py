"""``dataengine evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.evaluate import EvaluateSettings
from data_engine.stages.predict import PredictSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "evaluate", sections={"evaluate": EvaluateSettings, "predict": PredictSettings})
def evaluate(
    engine: "Engine",
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Its file, its id or the beginning of it.  [default: the one in use]",
            show_default=False,
        ),
    ] = None,
    against: Annotated[str | None, typer.Option(metavar="MODEL", help="Another model, to be held against.")] = None,
    on: Annotated[
        str | None,
        typer.Option(metavar="SET", help="golden, validation, a version, or a labelled folder."),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="An HTML page to write, with the pictures.")] = None,
    output: Annotated[Path | None, typer.Option(help="The JSON file of all numbers. Else evaluation.json.")] = None,
) -> Report:
    """COCO's metrics overall, by class, size, camera and day, with intervals from resampled footage.

    On the golden set, where there is one, else on the validation side. Also from which score on the boxes of each class
    are to be taken for a wanted recall. Asked again, the model is not run again.
    """
    from data_engine.app.models import evaluation_report

    return evaluation_report.evaluated(engine, model=model, against=against, on=on, page=page, output=output)
