"""``dataengine dataset verify|checkout|revert``: that versions are what they were, and having one of them again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command
from data_engine.cli.dataset_group import app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

_VERSION = "v3, 3 or the beginning of its id."


@command(app, "dataset verify")
def verify(
    engine: "Engine",
    *,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help=f"{_VERSION} Else all.", show_default=False)
    ] = None,
    pictures: Annotated[bool, typer.Option("--pictures", help="Hash every picture of these versions, too.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Write missing and changed files anew; never rows.")] = False,
) -> Report:
    """Recompute every hash and count of the versions, and compare their files.

    And the certificates of their splits.  What was purged is counted apart, and nothing wrong.  What is wrong is named,
    one line each, and the exit code is 4.
    """
    from data_engine.app.dataset import dataset_verify

    return dataset_verify.verify(engine, version, repair=repair, pictures=pictures)


@command(app, "dataset checkout")
def checkout(
    engine: "Engine",
    *,
    version: Annotated[str, typer.Argument(metavar="VERSION", help=_VERSION)],
    output: Annotated[Path, typer.Option(help="The folder to write into.")],
) -> Report:
    """Write the files of a version into a folder, byte for byte as they were.

    The version's own file and those of its sides.  Files that this command did not write are left alone.
    """
    from data_engine.app.dataset import dataset_checkout

    return dataset_checkout.checkout(engine, version, output)


@command(app, "dataset revert")
def revert(
    engine: "Engine",
    *,
    version: Annotated[str, typer.Argument(metavar="VERSION", help=_VERSION)],
) -> Report:
    """Make a new version that holds what an older one held.

    Nothing is deleted.  What is taken back comes in again when its job was accepted anew, not with the next export.
    """
    from data_engine.app.dataset import dataset_revert

    return dataset_revert.revert(engine, version)
