"""``dataengine doctor``."""

from typing import TYPE_CHECKING

from data_engine.cli.command import command, new_app
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "doctor", migrate=False)
def doctor(engine: "Engine") -> Report:
    """Says which packages, devices and services can be used here, and how to get what is missing.

    Changes nothing.
    """
    from data_engine.app import doctor as app_doctor

    return app_doctor.doctor(engine)
