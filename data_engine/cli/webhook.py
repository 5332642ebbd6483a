"""``dataengine webhook``."""

from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.sync import SyncSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app("webhook")


@command(app, "webhook serve", sections={"sync": SyncSettings})
def serve(
    engine: "Engine",
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8090,
) -> Report:
    """Sync soon after every signed delivery, and every 5 minutes or --every.

    The secret is that of DATAENGINE_CVAT_WEBHOOK_SECRET.
    """
    from data_engine.app.annotation import webhook as app_webhook

    return app_webhook.serve(engine, host, port)


@command(app, "webhook register")
def register(
    engine: "Engine",
    *,
    url: Annotated[str, typer.Option(help="Where the server reaches `webhook serve`.")],
) -> Report:
    """Have the annotation server send the deliveries of this project."""
    from data_engine.app.annotation import webhook as app_webhook

    return app_webhook.register(engine, url)
