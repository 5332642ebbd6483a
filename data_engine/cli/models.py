"""``dataengine models``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from data_engine.cli.command import command, new_app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("models")

Name = Annotated[
    str, typer.Argument(metavar="MODEL", help="Its id or the beginning of it, a file, champion or newest.")
]


@command(app, "models list")
def list_models(engine: "Engine") -> Report:
    """List every model: its data, its parent, its numbers, and when it was in use."""
    from data_engine.app.models import model_registry

    return model_registry.list_models(engine)


@command(app, "models show")
def show(engine: "Engine", *, model: Name) -> Report:
    """Tell all that is recorded of one model.

    Its weights, classes and parent, what it was trained on, every evaluation, and what was decided about it.
    """
    from data_engine.app.models import model_registry

    return model_registry.show_model(engine, model)


@command(app, "models export")
def export(
    engine: "Engine",
    *,
    model: Name,
    output: Annotated[Path, typer.Option(help="The file; what is to be known of it is written beside it.")],
    format: Annotated[
        Literal["onnx", "torch", "tensorrt"], typer.Option(help="tensorrt: an engine for this GPU alone.")
    ] = "onnx",
) -> Report:
    """Write a model to a file for other programs, with its classes, thresholds and input size as JSON.

    TensorRT is built by the training library's own exporter; that has not been seen to run on a GPU yet.
    """
    from data_engine.app.models import model_export

    return model_export.export_model(engine, model, output, format)


@command(app, "models thin")
def thin(
    engine: "Engine",
    *,
    keep: Annotated[int, typer.Option(min=0, help="How many of the newest stay in any case.")] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
) -> Report:
    """Remove the weights of old models; their records stay.

    Kept are those in use, the one that a rollback returns to, what these were begun from, the newest, and those whose
    choice or proposals people still have before them. What the others said about frames that no dataset version holds
    goes with their weights.
    """
    from data_engine.app.models import model_thin

    return model_thin.thin(engine, keep=keep, dry_run=dry_run)
