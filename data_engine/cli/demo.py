"""``dataengine demo``."""

from pathlib import Path
from typing import Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.ports import Progress
from data_engine.types import Report

app = new_app()


@command(app, "demo")
def demo(
    progress: Progress,
    *,
    folder: Annotated[Path, typer.Argument(help="A folder for the footage and the workspace.")] = Path(
        "dataengine-demo"
    ),
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often the loop turns.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Another number draws other footage.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Less footage and shorter training: minutes become seconds.")
    ] = False,
) -> Report:
    """The ground truth of the drawn footage plays the annotators; everything else is the real loop."""
    from data_engine.demo.rounds import demo as play

    return play(folder, rounds=rounds, seed=seed, quick=quick, progress=progress)
