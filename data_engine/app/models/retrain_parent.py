"""What a training begins from: nothing, a checkpoint, the model in use, or weights that a library publishes."""

from __future__ import annotations

from pathlib import Path

from data_engine.app.engine import Engine, present
from data_engine.app.models.in_use import FOLDER as MODELS
from data_engine.app.models.in_use import champion_key, refuse_changed_weights
from data_engine.errors import MissingInputError
from data_engine.lineage import models
from data_engine.types import ID_LENGTH, Model

CHAMPION = "champion"
PUBLISHED = f"{MODELS}/published"
"""Where downloaded weights are kept."""


def begun_from(engine: Engine) -> tuple[Model | None, Path | None]:
    """The registered model to begin from and its checkpoint, as the settings say; a checkpoint may have no model.

    Raises:
        MissingInputError: it is not there.
        DamagedInputError: the champion's checkpoint is not the one that its training wrote.
        ServiceError: published weights could not be downloaded.
    """
    settings = engine.settings.retrain
    if not settings.weights:
        return None, None
    if settings.weights == CHAMPION:
        return _champion(engine, settings.kind)
    path = Path(settings.weights)
    if present(path) and not path.is_dir():
        return _registered(engine, path), path
    if path.name == settings.weights and not path.is_dir():
        published = engine.trainer(settings.kind).published(path.name, engine.storage.path(PUBLISHED))
        if published is not None:
            return None, published
    raise MissingInputError(
        f"{path} is not there, nor are {settings.kind} weights published under that name",
        hint="name the weights to begin from with --weights",
    )


def _champion(engine: Engine, kind: str) -> tuple[Model, Path]:
    from data_engine.media.images import sha256_of

    used = champion_key(kind)
    if not engine.storage.exists(used):
        raise MissingInputError(
            f"no {kind} model was trained here yet", hint="train the first one without --weights champion"
        )
    identity = sha256_of(engine.storage.path(used))[:ID_LENGTH]
    with engine.database.read() as connection:
        champion = models.by_id(connection, identity)
        key = models.weights_of(connection, identity)
    if champion is None or key is None or not engine.storage.exists(key):
        raise MissingInputError(
            f"{engine.shown(used)} has no checkpoint of a training here to begin from",
            hint="name one with --weights, or train without",
        )
    refuse_changed_weights(engine, champion, key)
    return champion, engine.storage.path(key)


def _registered(engine: Engine, path: Path) -> Model | None:
    """The model whose checkpoint a file is."""
    key = engine.storage.key_of(path)
    with engine.database.read() as connection:
        known = models.registered(connection)
    return next((one.model for one in known if one.weights_key == key), None)
