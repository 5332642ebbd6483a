"""``/api/auth``, ``/api/users``, ``/api/organizations`` and what a server says about itself."""

from __future__ import annotations

import secrets
import uuid
from operator import attrgetter
from typing import Any

from . import views
from .access import cookie, may_see_user, member_of, role
from .answers import Answer, as_json, denied, invalid_field, missing, refused
from .calls import Call, route, text
from .listing import Getter, listed
from .records import Membership, Organization, Token, User

FORMATS = {
    "CVAT for images 1.1": "ZIP",
    "COCO 1.0": "ZIP",
    "COCO Keypoints 1.0": "ZIP",
    "Datumaro 1.0": "ZIP",
    "Ultralytics YOLO Detection 1.0": "ZIP",
    "YOLO 1.1": "ZIP",
    "PASCAL VOC 1.1": "ZIP",
}
"""What can be asked for.  Only COCO 1.0 is really made; the others are files that say so."""


@route("GET", "/api/server/about", public=True)
def about(call: Call) -> Answer:
    return as_json(
        {
            "name": "Computer Vision Annotation Tool",
            "description": "The server of the tests: it answers as CVAT does.",
            "version": call.server.version,
            "logo_url": f"{call.host}/static/logo.svg",
            "subtitle": "Open Data Annotation Platform",
        }
    )


@route("GET", "/api/server/annotation/formats")
def formats(call: Call) -> Answer:
    rows = [
        {"name": name, "ext": ext, "version": name.split()[-1], "enabled": True, "dimension": "2d"}
        for name, ext in FORMATS.items()
    ]
    return as_json({"importers": rows, "exporters": rows})


@route("GET", "/api/events")
def events(call: Call) -> Answer:
    return as_json({"query_id": str(uuid.uuid4())}, 202)


@route("POST", "/api/auth/login", public=True)
def login(call: Call) -> Answer:
    asked = call.required("password")
    name = asked.get("username") or ""
    user = call.state.user_named(name) or next(
        (user for user in call.state.users.values() if asked.get("email") and user.email == asked["email"]), None
    )
    if user is None or user.password != asked["password"]:
        raise refused(400, {"non_field_errors": ["Unable to log in with provided credentials."]})
    return _logged_in(call, user, {}, 200)


@route("POST", "/api/auth/register", public=True)
def register(call: Call) -> Answer:
    asked = call.required("username", "password1", "password2")
    name = text(asked["username"], "username", 150)
    if call.state.user_named(name) is not None:
        raise invalid_field("username", "A user with that username already exists.")
    password = asked["password1"]
    if len(password) < 8:
        said = "This password is too short. It must contain at least 8 characters."
        raise invalid_field("password1", said)
    if password != asked["password2"]:
        raise refused(400, {"non_field_errors": ["The two password fields didn't match."]})
    names = {key: asked.get(key, "") for key in ("email", "first_name", "last_name")}
    user = call.state.add_user(name, password, **names)
    shown = {"username": name, **names, "email_verification_required": False}
    return _logged_in(call, user, shown, 201)


def _logged_in(call: Call, user: User, shown: dict[str, Any], status: int) -> Answer:
    session, csrf, key = secrets.token_hex(16), secrets.token_hex(16), secrets.token_hex(20)
    call.state.sessions[session] = (user.id, csrf)
    call.state.keys[key] = user.id
    user.last_login = call.state.now()
    cookies = [
        ("Set-Cookie", f"csrftoken={csrf}; Max-Age=31449600; Path=/; SameSite=Lax"),
        ("Set-Cookie", "sessionfresh=1; HttpOnly; Max-Age=86400; Path=/; SameSite=Lax"),
        ("Set-Cookie", f"sessionid={session}; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"),
    ]
    return as_json({**shown, "key": key}, status, cookies)


@route("POST", "/api/auth/logout", public=True)
def logout(call: Call) -> Answer:
    call.state.sessions.pop(cookie(call, "sessionid"), None)
    gone = [("Set-Cookie", f'{name}=""; Max-Age=0; Path=/; SameSite=Lax') for name in ("sessionid", "sessionfresh")]
    return as_json({"detail": "Successfully logged out."}, 200, gone)


@route("POST", "/api/auth/access_tokens")
def create_token(call: Call) -> Answer:
    asked = call.required("name")
    now = call.state.now()
    token = Token(
        call.state.next_id("token"),
        text(asked["name"], "name"),
        call.me.id,
        secrets.token_urlsafe(32),
        bool(asked.get("read_only", True)),
        now,
        call.state.now(),
        asked.get("expiry_date"),
    )
    call.state.tokens[token.id] = token
    return as_json({**views.token(call.state, call.host, token), "value": token.value}, 201)


@route("GET", "/api/auth/access_tokens")
def list_tokens(call: Call) -> Answer:
    mine = [token for token in call.state.tokens.values() if token.owner == call.me.id]
    fields = {"name": lambda row: row.name, "read_only": lambda row: row.read_only}
    return listed(call, mine, fields, lambda row: views.token(call.state, call.host, row))


@route("GET", "/api/auth/access_tokens/self")
def my_token(call: Call) -> Answer:
    """The token that was sent; without one it is the answer to nobody."""
    value = call.headers.get("authorization", "").removeprefix("Bearer ")
    token = next((token for token in call.state.tokens.values() if token.value == value), None)
    if token is None:
        raise refused(401, {"detail": "Authentication credentials were not provided."})
    return as_json(views.token(call.state, call.host, token))


@route("GET DELETE", "/api/auth/access_tokens/{id}")
def one_token(call: Call, number: int) -> Answer:
    token = call.state.tokens.get(number)
    if token is None or token.owner != call.me.id:
        raise missing("AccessToken")
    if call.method == "DELETE":
        del call.state.tokens[number]
        return Answer(204)
    return as_json(views.token(call.state, call.host, token))


@route("GET", "/api/users")
def users(call: Call) -> Answer:
    """Administrators see everybody, members of an organization each other, and all others themselves.

    Asked for in the personal space (an empty ``X-Organization``), those who are in an organization are left out.  Only
    administrators see addresses in the list, ordinary accounts not even their own.
    """
    rows = [user for user in call.state.users.values() if may_see_user(call.state, call.me, user.id, call.organization)]
    if call.organization:
        rows = [user for user in rows if role(call.state, user, call.organization) is not None]
    elif call.organization == 0:
        members = {membership.user for membership in call.state.memberships.values()}
        rows = [user for user in rows if user.id not in members]
    fields: dict[str, Getter] = {name: attrgetter(name) for name in ("username", "first_name", "last_name", "id")}
    fields["is_active"] = lambda user: True
    return listed(
        call,
        rows,
        fields,
        lambda user: _user(call, user) if call.me.admin else views.basic_user(call.state, call.host, user.id) or {},
        simple=("username", "first_name", "last_name", "is_active"),
        search=("username", "first_name", "last_name"),
    )


def _user(call: Call, user: User) -> dict[str, Any]:
    if call.me.admin or user.id == call.me.id:
        return views.full_user(call.state, call.host, user)
    return views.basic_user(call.state, call.host, user.id) or {}


@route("GET", "/api/users/self")
def myself(call: Call) -> Answer:
    return as_json(views.full_user(call.state, call.host, call.me))


@route("GET", "/api/users/{id}")
def user(call: Call, number: int) -> Answer:
    if number not in call.state.users:
        raise missing("User")
    if not may_see_user(call.state, call.me, number, call.organization):
        raise denied()
    return as_json(_user(call, call.state.users[number]))


@route("POST", "/api/organizations")
def create_organization(call: Call) -> Answer:
    asked = call.required("slug")
    slug = text(asked["slug"], "slug", 16)
    if any(row.slug == slug for row in call.state.organizations.values()):
        raise invalid_field("slug", "organization with this slug already exists.")
    state, now = call.state, call.state.now()
    row = Organization(
        state.next_id("organization"),
        slug,
        asked.get("name") or slug,
        asked.get("description", ""),
        call.me.id,
        now,
        state.now(),
    )
    state.organizations[row.id] = row
    member = Membership(state.next_id("membership"), row.id, call.me.id, "owner", now)
    state.memberships[member.id] = member
    return as_json(views.organization(state, call.host, row), 201)


@route("GET", "/api/organizations")
def organizations(call: Call) -> Answer:
    rows = [row for row in call.state.organizations.values() if member_of(call.state, call.me, row)]
    fields = {"slug": lambda row: row.slug, "name": lambda row: row.name}
    return listed(call, rows, fields, lambda row: views.organization(call.state, call.host, row))


@route("GET", "/api/memberships")
def memberships(call: Call) -> Answer:
    state = call.state
    rows = [
        row
        for row in state.memberships.values()
        if member_of(state, call.me, state.organizations[row.organization])
        and call.organization in (None, row.organization)
    ]
    fields = {"user": lambda row: state.users[row.user].username, "role": lambda row: row.role}
    return listed(call, rows, fields, lambda row: _membership(call, row))


@route("GET PATCH DELETE", "/api/memberships/{id}")
def membership(call: Call, number: int) -> Answer:
    row = call.state.memberships.get(number)
    if row is None:
        raise missing("Membership")
    if call.method != "GET":
        if not call.me.admin and role(call.state, call.me, row.organization) not in ("owner", "maintainer"):
            raise denied()
        if call.method == "DELETE":
            del call.state.memberships[number]
            return Answer(204)
        row.role = call.required("role")["role"]
    return as_json(_membership(call, row))


@route("POST", "/api/invitations")
def invite(call: Call) -> Answer:
    """An account that is there becomes a member at once; one that isn't is made, as the real server makes it."""
    asked = call.required("role", "email")
    state, organization = call.state, call.organization
    if not organization:
        raise denied()
    if not call.me.admin and role(state, call.me, organization) not in ("owner", "maintainer"):
        raise denied()
    found = next((user for user in state.users.values() if user.email == asked["email"]), None)
    user = found or state.add_user(asked["email"].split("@")[0], secrets.token_hex(16), email=asked["email"])
    row = Membership(state.next_id("membership"), organization, user.id, asked["role"], state.now())
    state.memberships[row.id] = row
    shown = {
        "key": secrets.token_hex(32),
        "created_date": row.joined,
        "owner": views.basic_user(state, call.host, call.me.id),
        "role": row.role,
        "user": views.basic_user(state, call.host, user.id),
        "organization": organization,
        "expired": False,
        "organization_info": views.organization(state, call.host, state.organizations[organization]),
    }
    return as_json(shown, 201)


def _membership(call: Call, row: Membership) -> dict[str, Any]:
    return {
        "id": row.id,
        "user": views.basic_user(call.state, call.host, row.user),
        "organization": row.organization,
        "is_active": True,
        "joined_date": row.joined,
        "role": row.role,
        "invitation": None,
    }
