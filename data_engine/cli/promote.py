"""``dataengine promote``."""

from typing import TYPE_CHECKING, Annotated

import typer

from data_engine.cli.command import command, new_app
from data_engine.errors import UsageError
from data_engine.stages.promote import PromoteSettings
from data_engine.types import Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine

app = new_app()


@command(app, "promote", sections={"promote": PromoteSettings})
def promote(
    engine: "Engine",
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Its id or the beginning of it, or a file.  [default: the one trained last]",
            show_default=False,
        ),
    ] = None,
    on: Annotated[str | None, typer.Option(help="golden, validation, a version or a labelled folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Use it whatever speaks against it.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Back to the model that was in use before.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why; kept with the decision.")] = None,
    by: Annotated[str | None, typer.Option(help="Who decides; kept with the decision.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be decided.")] = False,
) -> Report:
    """A model that has not shown what it has to stays out of use: the exit code is 1, with all the reasons.

    It is held against the model in use on the golden set, else on the validation side: better beyond chance by the
    metric, no class or camera worse beyond its tolerance, its classes numbered rightly, its export equal to its
    weights, and trained on nothing that judges it or that was purged.
    """
    from data_engine.app.models import promote as app_promote

    if rollback:
        if model or on or force or dry_run:
            raise UsageError("--rollback takes --reason and --by only", hint="dataengine promote --help")
        return app_promote.rollback(engine, reason=reason, actor=by)
    return app_promote.promote(engine, model=model, on=on, force=force, reason=reason, actor=by, dry_run=dry_run)
