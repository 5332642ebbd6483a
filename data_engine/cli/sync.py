"""``dataengine sync``."""

from typing import TYPE_CHECKING

from data_engine.cli.command import command, new_app
from data_engine.stages.sync import SyncSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "sync", sections={"sync": SyncSettings})
def sync(engine: "Engine") -> Report:
    """Completed jobs go to review, reviewed ones to acceptance, rejected ones back to their annotator."""
    import time

    from data_engine.app.annotation import sync as app_sync

    every = engine.settings.sync.every
    if every is None:
        return app_sync.sync(engine)
    return app_sync.keep_syncing(engine, lambda: time.sleep(every))
