"""The group that every module of ``dataengine dataset`` adds its commands to."""

from data_engine.cli.command import new_app

app = new_app("dataset")
