"""JSON lines in the workspace's ``logs/``, for work that nobody watches; secrets never get there."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretBytes, SecretStr

from data_engine.media.address import SECRET_NAME, SECRET_VALUE

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "***"
# Of an address: what stands between the user's name and the last "@", and what a parameter so named holds.
_IN_ADDRESS = re.compile(
    # Without the scheme, which would be looked for from every letter of a long word.
    rf"(://[^\s:/@]*:)[^\s/]+(?=@)|([?&]{SECRET_NAME})[^\s&]+",
    re.IGNORECASE,
)
# Also a parameter inside the path; anywhere else a word before "=" or ":" may be a sentence about a variable.
_PATH = re.compile(r"/\S*")
_IN_PATH = re.compile(rf"((?:[;_]|(?<!/)/){SECRET_NAME}){SECRET_VALUE}", re.IGNORECASE)
# A request's headers, as libraries write them into their logs: as lines, or as the items of a mapping.
_IN_HEADER = re.compile(
    r"(\b(?:(?:proxy-)?authorization|(?:set-)?cookie|x-csrftoken)['\"]?\s*[:,=]\s*(?:b(?=['\"]))?(['\"])?)"
    r"(?(2)(?:(?!\2).)+|[^\r\n'\"]+)"
    r"|(\b(?:sessionid|csrftoken)=)[^\s;,'\"]+",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"(PASSWORD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY)", re.IGNORECASE)
_PLAIN = {*vars(logging.makeLogRecord({})), "message", "asctime"}


class Redactor:
    """Hides known secrets, also as addresses, JSON and Python spell them, and what addresses and headers carry."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these values too; the empty string is none."""
        self._secrets |= {spelt for secret in secrets if secret for spelt in _spellings(secret)}

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        # Longest first: a secret may be the beginning of another.
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        text = _IN_ADDRESS.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", text)
        text = _PATH.sub(lambda path: _IN_PATH.sub(lambda found: f"{found[1]}{HIDDEN}", path[0]), text)
        return _IN_HEADER.sub(lambda found: f"{found[1] or found[3]}{HIDDEN}", text)

    def inside(self, value: object) -> object:
        """The same for every text inside lists and mappings."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(str(name)): self.inside(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.inside(item) for item in value]
        return value if value is None or isinstance(value, (bool, int, float)) else self(str(value))


def _spellings(secret: str) -> set[str]:
    """The secret as it may stand in a text: plain, in an address, in JSON, in the representation of a string."""
    quoted = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return quoted | {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}


def secrets_in_environment(environ: Mapping[str, str]) -> set[str]:
    """Values of the ``DATAENGINE_*`` variables whose names say that they are secret."""
    return {
        value
        for name, value in environ.items()
        if name.startswith("DATAENGINE_") and _SECRET_NAME.search(name) and value
    }


def secrets_in_settings(settings: object) -> set[str]:
    """Every secret value in a tree of settings."""
    if isinstance(settings, SecretStr):
        return {settings.get_secret_value()} - {""}
    if isinstance(settings, SecretBytes):
        return {settings.get_secret_value().decode("utf-8", "replace")} - {""}
    if isinstance(settings, BaseModel):
        return {
            secret for name in type(settings).model_fields for secret in secrets_in_settings(getattr(settings, name))
        }
    return set()


class JsonLines(logging.Handler):
    """Writes a JSON object a record to ``<folder>/<command>-<date>.jsonl``.

    Records are kept in memory until :meth:`attach` says where the workspace is, and dropped when it never does.
    A log that can't be written never ends the work: ``problem`` then says why.
    """

    def __init__(self, command: str, redact: Redactor) -> None:
        super().__init__()
        self.problem = ""
        self._command = command
        self._redact = redact
        self._waiting: list[bytes] = []
        self._file: int | None = None

    def attach(self, folder: Path) -> None:
        """Write to files in this folder from now on, beginning with what was said before."""
        file = folder / f"{self._command.replace(' ', '-')}-{datetime.now(UTC):%Y-%m-%d}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for line in self._waiting:
                os.write(self._file, line)
        except OSError as error:
            self.problem = f"no log is kept: {file}: {error.strerror}"
        self._waiting.clear()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; whole lines, so that commands at the same time do not mix theirs."""
        try:
            line = self._line(record)
            if self._file is not None:
                os.write(self._file, line)
            elif not self.problem:
                self._waiting.append(line)
        except OSError as error:
            self.problem = f"the log is incomplete: {error.strerror}"

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        super().close()

    def _line(self, record: logging.LogRecord) -> bytes:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "command": self._command,
            "process": record.process,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        # What was passed as ``extra`` are the record's attributes that no plain record has.
        entry |= {name: self._redact.inside(value) for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            entry["exception"] = self._redact(logging.Formatter().formatException(record.exc_info))
        return (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


class RedactedText(logging.Formatter):
    """Log records as text for ``--verbose``, without secrets."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The record's text."""
        return self._redact(super().format(record))


def set_up(handler: JsonLines, redact: Redactor, *, level: str, verbose: bool) -> list[logging.Handler]:
    """Send the records of every library to the handler, and with ``verbose`` to stderr too.

    Returns:
        the handlers that were added, for :func:`take_down`.
    """
    handlers: list[logging.Handler] = [handler]
    if verbose:
        text = logging.StreamHandler(sys.stderr)
        text.setFormatter(RedactedText(redact))
        handlers.append(text)
    root = logging.getLogger()
    root.setLevel(level.upper())
    for added in handlers:
        root.addHandler(added)
    return handlers


def take_down(handlers: Iterable[logging.Handler]) -> None:
    """Remove the handlers from the root logger and close them."""
    for handler in handlers:
        logging.getLogger().removeHandler(handler)
        handler.close()
