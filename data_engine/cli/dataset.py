"""``dataengine dataset``: its commands, which stand in one module a topic, in the order of the help."""

from data_engine.cli import dataset_errors, dataset_golden, dataset_history, dataset_import, dataset_keep  # noqa: F401
from data_engine.cli.dataset_group import app

__all__ = ["app"]
