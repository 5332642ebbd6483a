"""``dataengine dataset import``: bring in a dataset from elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from data_engine.cli.asking import asking
from data_engine.cli.command import command
from data_engine.cli.dataset_group import app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine


@command(app, "dataset import")
def import_(
    engine: "Engine",
    *,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder, an archive, or a file of labels.")],
    name: Annotated[
        str | None, typer.Option(help="What it goes by from now on. Else the name of PATH.", show_default=False)
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(help="The camera of all pictures. Else the name, with their folders.", show_default=False),
    ] = None,
    format: Annotated[
        Literal["coco", "yolo", "voc", "cvat"] | None,
        typer.Option(help="What to read where there are several. Else it is found out.", show_default=False),
    ] = None,
    split: Annotated[
        Literal["own", "keep"],
        typer.Option(help="The sides by this project's rule, or those that it came with."),
    ] = "own",
    on_conflict: Annotated[
        Literal["held", "newest", "ask"],
        typer.Option(help="Where both have other boxes: the dataset's, these, or ask."),
    ] = "held",
    classes_map: Annotated[
        str | None,
        typer.Option(
            help="What its classes are called here: OLD=NEW,OLD=NEW.", metavar="OLD=NEW,…", show_default=False
        ),
    ] = None,
    allow_new_classes: Annotated[
        bool, typer.Option("--allow-new-classes", help="Register classes that are not known yet.")
    ] = False,
    images: Annotated[
        Path | None, typer.Option(help="The folder of the pictures. Else beside the labels.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come in, and write nothing.")] = False,
) -> Report:
    """Bring a dataset from elsewhere into the master, accepted as it is.

    COCO, YOLO, RF-DETR, Pascal VOC and CVAT's XML. Pictures are copied into the workspace. Frames that the dataset
    holds are merged box by box; where both say something else, the frame is named.
    """
    from data_engine.app.merge import dataset_import

    wanted = dataset_import.Wanted(
        name=name,
        camera=camera,
        format=format,
        split=split,
        on_conflict=on_conflict,
        classes_map=classes_map,
        allow_new_classes=allow_new_classes,
        images=images,
        dry_run=dry_run,
    )
    return dataset_import.import_dataset(engine, path, wanted, ask=asking())
