"""``dataengine serve``."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.stages.serve_settings import ServeSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "serve", sections={"serve": ServeSettings})
def serve(
    engine: "Engine",
    *,
    open: Annotated[bool, typer.Option("--open", help="Open the first page in a browser.")] = False,
) -> Report:
    """Pages for annotators, reviewers and leads, until Ctrl-C.

    Without accounts (`team add`) they are served to this machine only, and a name is enough to sign in.
    """
    import webbrowser

    from data_engine.cli.logs import Redactor, secrets_in_environment, secrets_in_settings
    from data_engine.web import server

    redact = Redactor(secrets_in_environment(os.environ))
    redact.add(secrets_in_settings(engine.settings))
    addresses = []

    def ready(address: str) -> None:
        addresses.append(address)
        engine.progress.note(f"the pages are at {address} (Ctrl-C ends)")
        if open:
            webbrowser.open(address)

    server.run(engine, redact=redact, ready=ready)
    return Report(title="the pages are closed", data={"address": addresses[0] if addresses else None})
