"""Every setting in one tree.

Precedence: built-in < ``dataengine.toml`` < ``DATAENGINE_<SECTION>_<NAME>`` < options.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from data_engine.errors import UsageError
from data_engine.stages.base import spelling
from data_engine.stages.convert import ConvertSettings
from data_engine.stages.embed import EmbedSettings
from data_engine.stages.evaluate import EvaluateSettings
from data_engine.stages.export import ExportSettings
from data_engine.stages.filter_settings import FilterSettings
from data_engine.stages.golden import GoldenSettings
from data_engine.stages.ingest import IngestSettings
from data_engine.stages.preannotate import PreannotateSettings
from data_engine.stages.predict import PredictSettings
from data_engine.stages.promote import PromoteSettings
from data_engine.stages.retrain import RetrainSettings
from data_engine.stages.rounds import RunSettings
from data_engine.stages.sample_settings import SampleSettings
from data_engine.stages.serve_settings import ServeSettings
from data_engine.stages.simulate_settings import SimulateSettings
from data_engine.stages.sync import SyncSettings
from data_engine.stages.upload import UploadSettings
from data_engine.words import counted

FILE_NAME = "dataengine.toml"
PREFIX = "DATAENGINE_"
_FOR_TESTS = f"{PREFIX}TEST_"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkspaceSettings(_Section):
    """What a workspace is about."""

    classes: tuple[str, ...] = Field((), description="class names, in the order of their ids")

    @field_validator("classes", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _split_list(value) if isinstance(value, str) else value

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if not all(name.strip() for name in classes):
            raise ValueError("the name of a class must not be empty")
        twice = [name for name in classes if classes.count(name) > 1]
        if twice:
            raise ValueError(f"class {twice[0]!r} is named twice")
        return classes


class DatabaseSettings(_Section):
    """Where lineage lies."""

    url: SecretStr | None = Field(
        None, min_length=1, description="postgresql://… ; the embedded SQLite database when not given"
    )


class AnnotationSettings(_Section):
    """Where people annotate."""

    backend: Literal["local", "cvat"] = Field("local", description="annotation backend")


class CvatSettings(_Section):
    """Which CVAT server, and who we are there.  The secrets belong into the environment."""

    url: str | None = Field(None, description="address of the server: https://cvat.example.org")
    project: str | None = Field(None, description="name of the project; the workspace's folder when not given")
    organization: str = Field("", description="short name of the organization; the account's own space when empty")
    known_as: str | None = Field(
        None, description="host and port under which its tasks were recorded, where its address has changed since"
    )
    token: SecretStr | None = Field(None, description="access token of the account that works for this tool")
    username: str | None = Field(None, description="its name, where it has no token")
    password: SecretStr | None = Field(None, description="its password, where it has no token")
    webhook_secret: SecretStr | None = Field(None, description="what its web-hook's deliveries are signed with")
    timeout: float = Field(60.0, gt=0, description="seconds to wait for an answer")
    patience: float = Field(
        600.0, ge=0, description="seconds to try again what the server refuses for the moment, or to wait for its work"
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("an address begins with http:// or https://")
        if url is not None and "@" in url:
            raise ValueError("the address must not hold a name or password: they are settings of their own")
        try:
            urlsplit(url or "")
        except ValueError:
            raise ValueError("the address cannot be read") from None
        return url and url.rstrip("/")


class TeamSettings(_Section):
    """Accounts that are made for people.  The password belongs into the environment."""

    password: SecretStr | None = Field(None, min_length=8, description="of the next account; made up when not given")


class Settings(_Section):
    """The whole tree: one section a stage, and three of the workspace's own."""

    workspace: WorkspaceSettings = WorkspaceSettings()
    database: DatabaseSettings = DatabaseSettings()
    annotation: AnnotationSettings = AnnotationSettings()
    cvat: CvatSettings = CvatSettings()
    team: TeamSettings = TeamSettings()
    ingest: IngestSettings = IngestSettings()
    sample: SampleSettings = SampleSettings()
    embed: EmbedSettings = EmbedSettings()
    filter: FilterSettings = FilterSettings()
    predict: PredictSettings = PredictSettings()
    preannotate: PreannotateSettings = PreannotateSettings()
    upload: UploadSettings = UploadSettings()
    sync: SyncSettings = SyncSettings()
    export: ExportSettings = ExportSettings()
    golden: GoldenSettings = GoldenSettings()
    convert: ConvertSettings = ConvertSettings()
    retrain: RetrainSettings = RetrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    promote: PromoteSettings = PromoteSettings()
    run: RunSettings = RunSettings()
    simulate: SimulateSettings = SimulateSettings()
    serve: ServeSettings = ServeSettings()


def load(
    file: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Resolve the settings.

    Args:
        file: ``dataengine.toml``, or None when there is none.
        environ: the environment; names that begin with ``DATAENGINE_`` are settings (but for ``DATAENGINE_TEST_``),
            one that is empty is not given.
        overrides: section -> name -> value, from the command line.

    Raises:
        UsageError: an unknown section or name, or a value out of its bounds; it says where it was given.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if file is not None and file.is_file():
        layers.append((file.name, _read(file)))
    environment = _from_environment(environ)
    layers.append(("the environment", environment))
    layers.append(("the command line", overrides or {}))
    merged: dict[str, dict[str, Any]] = {}
    origin: dict[tuple[str, str], str] = {}
    for name, layer in layers:
        for section, values in layer.items():
            if not isinstance(values, Mapping):
                raise UsageError(f"{name}: {section} must be a section, [{section}]")
            origin.setdefault((section, ""), name)
            known = merged.setdefault(section, {})
            for key, value in values.items():
                known[key] = value
                origin[section, key] = variable_of(section, key) if layer is environment else name
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise UsageError(_explained(error, origin)) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file.name} cannot be read: {error}") from None
    except OSError as error:
        raise UsageError(f"{file.name} cannot be read: {(error.strerror or str(error)).lower()}") from None


def variable_of(section: str, key: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{section}_{key}".upper()


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or name.startswith(_FOR_TESTS) or not text:
            continue
        section, _, key = name[len(PREFIX) :].lower().partition("_")
        if section not in Settings.model_fields:
            near = difflib.get_close_matches(section, Settings.model_fields, n=1)
            raise UsageError(
                f"{name}: there is no section {section!r}",
                hint=f"did you mean {variable_of(near[0], key)}?" if near else f"see every setting: {FILE_NAME}",
            )
        if not key:
            raise UsageError(f"{name} names no setting", hint=f"{PREFIX}<SECTION>_<NAME>, as in {FILE_NAME}")
        member = _member(section, key)
        found.setdefault(section, {})[key] = text if member is None else _listed(name, text, member)
    return found


def _member(section: str, key: str) -> object:
    """The type of a list's values; None for a setting that is no list."""
    model = Settings.model_fields[section].annotation
    field = model.model_fields.get(key) if isinstance(model, type) and issubclass(model, BaseModel) else None
    is_list = field is not None and get_origin(field.annotation) is tuple
    return get_args(field.annotation)[0] if field is not None and is_list else None


def _listed(name: str, text: str, member: object) -> object:
    """A list is written with commas, with semicolons where its values are spelt with commas, or as JSON."""
    if not text.lstrip().startswith("["):
        return _split_list(text, "," if spelling(member) is None else ";")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name} is not valid JSON: {error}") from None


def _split_list(text: str, separator: str = ",") -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _explained(error: ValidationError, origin: Mapping[tuple[str, str], str]) -> str:
    first = error.errors(include_url=False)[0]
    where = [str(part) for part in first["loc"]]
    source = origin.get((where[0], where[1] if len(where) > 1 else ""))
    if first["type"] == "extra_forbidden":
        what = "section" if len(where) == 1 else "setting"
        return f"{source}: there is no {what} {'.'.join(where)!r}"
    # What several settings break together came from several places.
    prefix = f"{source}: " if source and len(where) > 1 else ""
    # pydantic's own words, where they are those of a program and not of a settings file.
    message = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
    hidden = "url" in where or _is_secret(where)
    if hidden and first["type"] in ("too_short", "string_too_short"):
        # pydantic counts the items of a secret.
        message = f"must have at least {counted(first['ctx']['min_length'], 'character')}"
    shown = "" if hidden or isinstance(first["input"], dict) else f" (got {first['input']!r})"
    return f"{prefix}{'.'.join(where)}: {message}{shown}"


def _is_secret(where: Sequence[str]) -> bool:
    """Whether the setting holds a secret, which is not shown even where it is wrong."""
    section = Settings.model_fields[where[0]].annotation if where and where[0] in Settings.model_fields else None
    if len(where) < 2 or not (isinstance(section, type) and issubclass(section, BaseModel)):
        return False
    field = section.model_fields.get(where[1])
    return field is not None and SecretStr in (field.annotation, *get_args(field.annotation))
