"""``dataengine retrain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.retrain import RetrainSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "retrain", sections={"retrain": RetrainSettings})
def retrain(
    engine: "Engine",
    *,
    data: Annotated[Path | None, typer.Option(help="The training folder. Else the newest converted version's.")] = None,
    output: Annotated[Path | None, typer.Option(help="The folder for the models.")] = None,
    like: Annotated[
        str | None, typer.Option(metavar="RUN|MODEL", help="Repeat a training from its record; compare the bytes.")
    ] = None,
) -> Report:
    """The model is evaluated on the validation split of its version and exported to ONNX."""
    from data_engine.app.models import retrain as app_retrain

    if like is not None:
        from data_engine.app.models.retrain_like import repeat

        return repeat(engine, like, data=data)
    return app_retrain.retrain(engine, data=data, output=output)
