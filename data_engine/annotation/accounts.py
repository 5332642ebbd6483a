"""The accounts of a workspace's own pages: a file beside its database, readable by its owner only.

A password is kept as its scrypt hash, a token (256 random bits) as its SHA-256.  The parameters are those of OWASP's
Password Storage Cheat Sheet for 32 MiB a check: N = 2**15, r = 8, p = 3.  They stand with each hash, so that they can
be raised.  The file is replaced as a whole, and changed by one process at a time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, StorageFullError, UsageError
from data_engine.types import AccountRole

FILE = ".dataengine/accounts.json"
"""The storage key of the file."""
LONGEST_NAME = 64
_N, _R, _P = 2**15, 8, 3
_BYTES = 32
_TOKEN_PREFIX = "dataengine_"
_CHECKS = threading.BoundedSemaphore(2)
"""Each check takes 32 MiB and a good part of a second: more at once would slow down everybody's work."""


class Hashed(msgspec.Struct, frozen=True):
    """A password, hashed."""

    salt: str
    hash: str
    n: int
    r: int
    p: int


class Account(msgspec.Struct, frozen=True):
    """Somebody who may sign in."""

    id: int
    name: str
    email: str
    role: AccountRole
    password: Hashed
    tokens: tuple[str, ...] = ()
    """SHA-256 of each."""

    @property
    def mark(self) -> str:
        """Changes with the password, and when an account of the same name is made anew."""
        return sha256(f"{self.id} {self.name} {self.password.salt} {self.password.hash}".encode()).hexdigest()[:32]


class _File(msgspec.Struct):
    last_id: int = 0
    accounts: tuple[Account, ...] = ()


class Accounts:
    """The accounts in a file, which need not be there yet.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._read = _File()
        self._lock = threading.Lock()

    def all(self) -> tuple[Account, ...]:
        """Everybody, in the order of their coming; read again when the file has changed.

        Raises:
            DamagedInputError: the file cannot be read as what it is.
        """
        with self._lock:
            return self._now().accounts

    def named(self, name: str) -> Account | None:
        """The account of a name or e-mail, in any case."""
        folded = name.strip().casefold()
        return next((a for a in self.all() if folded in (a.name.casefold(), a.email.casefold())), None)

    def checked(self, name: str, password: str) -> Account | None:
        """The account, if the password is its own; who is unknown takes as long as a wrong password."""
        account = self.named(name)
        kept = account.password if account is not None else _blank("00" * 16)
        with _CHECKS:
            found = _scrypt(password, kept)
        return account if hmac.compare_digest(found, kept.hash) and account is not None else None

    def of_token(self, token: str) -> Account | None:
        """Whose token this is."""
        given = sha256(token.encode("utf-8", "replace")).hexdigest()
        return next((a for a in self.all() if any(hmac.compare_digest(given, kept) for kept in a.tokens)), None)

    def add(self, name: str, email: str, password: str, role: AccountRole) -> Account:
        """Make an account.

        Raises:
            ConflictError: there is such a name or e-mail.
            UsageError: a name that is none.
        """
        if not name or len(name) > LONGEST_NAME or not name.isprintable() or any(letter.isspace() for letter in name):
            raise UsageError(f"{name!r} is not a name to log in with", hint="letters, digits and . _ - without spaces")
        hashed = _hashed(password)
        with self._changing() as file:
            words = {word.casefold() for a in file.accounts for word in (a.name, a.email)}
            if words.intersection((name.casefold(), email.casefold())):
                raise ConflictError(
                    f"there is an account {name} or {email} already", hint="see who there is: dataengine team list"
                )
            file.last_id += 1
            account = Account(file.last_id, name, email, role, hashed)
            file.accounts = (*file.accounts, account)
        return account

    def set_password(self, name: str, password: str) -> Account:
        """Give an account another password, which ends its sessions; MissingInputError where there is none."""
        hashed = _hashed(password)
        return self._change(name, lambda account: msgspec.structs.replace(account, password=hashed))

    def new_token(self, name: str) -> tuple[Account, str]:
        """A token for scripts, beside those that there are; it is told this once."""
        token = _TOKEN_PREFIX + secrets.token_urlsafe(_BYTES)
        kept = sha256(token.encode()).hexdigest()
        changed = self._change(name, lambda account: msgspec.structs.replace(account, tokens=(*account.tokens, kept)))
        return changed, token

    def without_tokens(self, name: str) -> Account:
        """Take an account's tokens back."""
        return self._change(name, lambda account: msgspec.structs.replace(account, tokens=()))

    def remove(self, name: str) -> Account:
        """Take an account away; MissingInputError where there is none."""
        with self._changing() as file:
            account = _found(file, name)
            file.accounts = tuple(other for other in file.accounts if other.id != account.id)
        return account

    def _change(self, name: str, change: Callable[[Account], Account]) -> Account:
        with self._changing() as file:
            before = _found(file, name)
            after = change(before)
            file.accounts = tuple(after if other.id == before.id else other for other in file.accounts)
        return after

    # --- the file -------------------------------------------------------------------------------------------------

    def _now(self) -> _File:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._read = None, _File()
            return self._read
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            try:
                self._read = msgspec.json.decode(self._path.read_bytes(), type=_File)
            except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
                raise DamagedInputError(
                    f"{FILE} cannot be read: it should hold the accounts", hint="put it back, or move it away"
                ) from None
            except PermissionError:
                raise DamagedInputError(f"{FILE} cannot be read: permission denied") from None
            self._stamp = stamp
        return self._read

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_File]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                now = self._now()
                changed = _File(now.last_id, now.accounts)
                yield changed
                write_private(self._path, msgspec.json.format(msgspec.json.encode(changed), indent=1))
                self._stamp = None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFullError(f"the disk is full: {FILE} was not written", hint="free some space") from None
            reason = (error.strerror or str(error)).lower()
            raise DamagedInputError(f"{FILE} cannot be written: {reason}") from None


def write_private(path: Path, data: bytes) -> None:
    """Replace a file as a whole by one that only its owner may read."""
    temporary = path.with_name(f".dataengine-tmp-{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _found(file: _File, name: str) -> Account:
    folded = name.strip().casefold()
    for account in file.accounts:
        if account.name.casefold() == folded:
            return account
    raise MissingInputError(f"there is no account {name!r}", hint="see who there is: dataengine team list")


def _hashed(password: str) -> Hashed:
    salt = secrets.token_hex(16)
    blank = _blank(salt)
    return msgspec.structs.replace(blank, hash=_scrypt(password, blank))


def _blank(salt: str) -> Hashed:
    return Hashed(salt, "", _N, _R, _P)


def _scrypt(password: str, kept: Hashed) -> str:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=bytes.fromhex(kept.salt),
        n=kept.n,
        r=kept.r,
        p=kept.p,
        maxmem=256 * kept.n * kept.r,
        dklen=_BYTES,
    ).hex()
