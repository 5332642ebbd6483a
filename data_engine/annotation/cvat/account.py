"""Which server, and who we are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from data_engine.errors import UsageError


@dataclass(frozen=True, slots=True)
class Account:
    """What it takes to talk to a server; the secrets are in no repr.

    Raises:
        UsageError: an address with a name or a password in it.
    """

    url: str
    """``https://cvat.example.org``, without a slash at the end."""
    token: str | None = field(default=None, repr=False)
    """Access token; wins over name and password."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    organization: str = ""
    """Short name of the organization; the account's own space when empty."""
    known_as: str = ""
    """Host and port under which its tasks are recorded, where its address has changed since."""

    def __post_init__(self) -> None:
        if "@" in urlsplit(self.url).netloc:
            raise UsageError(
                "the address of the CVAT server must not hold a name or password",
                hint="DATAENGINE_CVAT_USERNAME and DATAENGINE_CVAT_PASSWORD, or DATAENGINE_CVAT_TOKEN",
            )

    def require_login(self) -> None:
        """Raise UsageError where there is nothing to log in with."""
        if not self.token and not (self.username and self.password):
            raise UsageError(
                f"nothing to log in with at {self.server}",
                hint="DATAENGINE_CVAT_TOKEN, or DATAENGINE_CVAT_USERNAME and DATAENGINE_CVAT_PASSWORD",
            )

    @property
    def place(self) -> str:
        """Host, with the port and path where there are any."""
        parts = urlsplit(self.url)
        return f"{parts.netloc}{parts.path}".rstrip("/")

    def backend_of(self, project: str) -> str:
        """What the backend of a project is called in lineage."""
        owner = f"{self.organization}/" if self.organization else ""
        return f"cvat:{self.recorded_as}/{owner}{project}"

    @property
    def recorded_as(self) -> str:
        """What stands for the server in lineage."""
        return self.known_as or self.place

    @property
    def server(self) -> str:
        """What to call the server in a message."""
        return f"the CVAT server {self.place}"
