"""Web-hooks: having the server tell an address of what happens to the jobs of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat.failures import RefusedError
from data_engine.errors import UsageError

if TYPE_CHECKING:
    from data_engine.annotation.cvat.connection import Connection

EVENTS = ("update:job",)
"""What the server tells of; it is also sent for every saving of boxes."""


def listed(connection: Connection, project: int) -> list[dict[str, Any]]:
    """The web-hooks of a project, by ascending number."""
    return connection.pages("/api/webhooks", project_id=project)


def register(connection: Connection, project: int, url: str, secret: str) -> int:
    """The number of the web-hook for an address; one that is there gets the new secret."""
    body = {
        "target_url": url,
        "description": "dataengine",
        "type": "project",
        "project_id": project,
        "content_type": "application/json",
        "events": list(EVENTS),
        "secret": secret,
        "is_active": True,
        "enable_ssl": url.startswith("https://"),
    }

    def there() -> dict[str, Any] | None:
        return next((row for row in listed(connection, project) if row["target_url"] == url), None)

    try:
        known = there()
        if known is None:
            return int(connection.request("POST", "/api/webhooks", json=body, look=there)["id"])
        connection.request("PATCH", f"/api/webhooks/{known['id']}", json=body)
        return int(known["id"])
    except RefusedError as error:
        raise UsageError(f"{connection.account.server} refuses the web-hook: {error.said}", hint="see --url") from None


def remove(connection: Connection, number: int) -> None:
    """Remove a web-hook; quietly where there is none."""
    try:
        connection.request("DELETE", f"/api/webhooks/{number}")
    except RefusedError as error:
        if error.status != 404:
            raise
