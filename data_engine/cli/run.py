"""``dataengine run``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.base import StageSettings
from data_engine.stages.convert import ConvertSettings
from data_engine.stages.export import ExportSettings
from data_engine.stages.filter import FilterSettings
from data_engine.stages.preannotate import PreannotateSettings
from data_engine.stages.predict import PredictSettings
from data_engine.stages.promote import PromoteSettings
from data_engine.stages.retrain import RetrainSettings
from data_engine.stages.rounds import RunSettings
from data_engine.stages.sample_settings import SampleSettings
from data_engine.stages.upload import UploadSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()

SECTIONS: Mapping[str, type[StageSettings]] = {
    "run": RunSettings,
    "sample": SampleSettings,
    "filter": FilterSettings,
    "predict": PredictSettings,
    "preannotate": PreannotateSettings,
    "upload": UploadSettings,
    "export": ExportSettings,
    "convert": ConvertSettings,
    "retrain": RetrainSettings,
    "promote": PromoteSettings,
}


@command(app, "run", sections=SECTIONS, prefixed=True)
def run(
    engine: "Engine",
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Go on by itself when people are done.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Begin a round that is not worth its labels.")] = False,
) -> Report:
    """What is done already is not done again; the steps' options carry the step's name here."""
    import time

    from data_engine.app.rounds import run as app_run

    every = engine.settings.run.every
    return app_run.run(engine, anyway=anyway, wait=(lambda: time.sleep(every)) if wait else None)
