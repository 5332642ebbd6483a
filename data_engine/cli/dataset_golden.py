"""``dataengine dataset golden|certificate``: what models are judged on, and that nothing leaks into it."""

from typing import TYPE_CHECKING

from data_engine.cli.command import command
from data_engine.cli.dataset_group import app
from data_engine.cli.dataset_history import Version
from data_engine.stages.golden import GoldenSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine


@command(app, "dataset golden", sections={"golden": GoldenSettings})
def golden(engine: "Engine") -> Report:
    """Freeze a part of the dataset for judging models, never trained on.

    Whole blocks of time, from the validation side or such as no model was trained on. Again: adds what is lacking.
    """
    from data_engine.app.dataset import dataset_golden

    return dataset_golden.golden(engine)


@command(app, "dataset certificate")
def certificate(engine: "Engine", *, version: Version = None) -> Report:
    """Show by counts that no side of a version leaks into another.

    Computed anew from the rows, and compared with the file that was written beside the version's.
    """
    from data_engine.app.dataset import dataset_certificate

    return dataset_certificate.certificate(engine, version)
