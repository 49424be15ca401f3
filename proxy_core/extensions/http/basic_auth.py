"""envoy.filters.http.basic_auth: lets through who has a name and a password of a list.

The list is a file of Apache's `htpasswd -s`: lines "name:{SHA}<base64 of SHA-1>". Mirrors `BasicAuthFilter`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Dict, Final, NamedTuple, Optional

from ...config.fields import Bool, Message, Nested, String, message, optional, plain
from ...config.model.core import DataSource
from ...config.model.header_value import HeaderText
from ...errors import ConfigError, Problem
from ...http.events import RequestHead
from ...http.filter_api import CONTINUE, STOP_ITERATION, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory
from ...http.headers import Headers
from ...http.registry import HttpExtension
from ...http.routing.inline_headers import INLINE
from ...http.routing.text import header_value, wire
from .original_uri import original_uri

_NAME: Final = "envoy.extensions.filters.http.basic_auth.v3."
_NAMESPACE: Final = "envoy.filters.http.basic_auth"
_FAILED: Final = "User authentication failed. "
_SCHEME: Final = "Basic "
_SHA: Final = "{SHA}"
_HASH_CHARACTERS: Final = 28  # base64 of 20 bytes
_NO_USERS: Final = "Unexpected DataSource::specifier_case(): 0"

Users = Dict[str, str]


@message(f"{_NAME}BasicAuth")
@dataclass(eq=False, repr=False)
class BasicAuth(Message):
    """Requests need a name and a password."""

    users: Optional[DataSource] = optional(Nested(DataSource), help="Lines name:{SHA}hash, as of `htpasswd -s`.")
    forward_username_header: str = plain(HeaderText(), help="A request header that tells the upstream the name.")
    authentication_header: str = plain(HeaderText(), help="Where the credentials are; default authorization.")
    allow_missing: bool = plain(Bool(), help="Requests without such credentials pass.")
    emit_dynamic_metadata: bool = plain(Bool(), help="Write the name to the dynamic metadata.")
    realm: str = plain(HeaderText(), help="Default: the URL of the request.")


@message(f"{_NAME}BasicAuthPerRoute")
@dataclass(eq=False, repr=False)
class BasicAuthPerRoute(Message):
    """Other users for a route."""

    users: Optional[DataSource] = optional(Nested(DataSource), required=True)
    realm: str = plain(HeaderText())


class Access(NamedTuple):
    """Who may pass, with the hashes of their passwords, and the realm that others are told, "" for the URL."""

    users: Users
    realm: str


class _Settings:
    """Decided once per configuration."""

    __slots__ = ("access", "forward_to", "read_from", "allow_missing", "emits", "allowed", "denied")

    def __init__(self, config: BasicAuth, context: HttpFactoryContext) -> None:
        self.access = _access(config.users, config.realm, context.path)
        self.forward_to = wire(config.forward_username_header.lower())
        self.read_from = wire(config.authentication_header.lower()) or "authorization"
        self.allow_missing = config.allow_missing
        self.emits = config.emit_dynamic_metadata
        scope = context.scope.scope("basic_auth")
        self.allowed = scope.counter("allowed")
        self.denied = scope.counter("denied")


class BasicAuthFilter(HttpFilter):
    """One request."""

    __slots__ = ("decoder", "encoder", "_settings")

    def __init__(self, settings: _Settings) -> None:
        self._settings = settings

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Look the credentials up."""
        settings = self._settings
        access: Access = self.decoder.route_config() or settings.access
        lines = head.headers.get_all(settings.read_from)
        if not lines:
            return self._missing(head, access, "Missing username and password.", "no_credential")
        credentials = ",".join(lines) if settings.read_from in INLINE["request"] else lines[0]
        if not credentials.startswith(_SCHEME):
            return self._missing(head, access, "Expected 'Basic' authentication scheme.", "invalid_scheme")
        name, colon, password = _decoded(credentials[len(_SCHEME):]).partition(":")
        if not colon:
            return self._deny(head, access, "Invalid basic credential format.", "invalid_format")
        if not _is_right(access.users, name, password):
            return self._deny(head, access, "Invalid username/password combination.", "invalid_credential")
        if settings.forward_to:
            head.headers.remove(settings.forward_to)
            head.headers.add(settings.forward_to, header_value(name))
        if settings.emits:
            self.decoder.info.set_dynamic_metadata(_NAMESPACE, {"username": name})
        settings.allowed.value += 1
        return CONTINUE

    def _missing(self, head: RequestHead, access: Access, text: str, what: str) -> FilterStatus:
        return CONTINUE if self._settings.allow_missing else self._deny(head, access, text, what)

    def _deny(self, head: RequestHead, access: Access, text: str, what: str) -> FilterStatus:
        self._settings.denied.value += 1
        realm = access.realm or original_uri(head)

        def challenge(headers: Headers) -> None:
            headers.set("www-authenticate", f'Basic realm="{realm}"')

        self.decoder.send_local_reply(401, (_FAILED + text).encode(), f"{what}_for_basic_auth", challenge)
        return STOP_ITERATION


def build(config: BasicAuth, context: HttpFactoryContext) -> HttpFilterFactory:
    """Read the list. Raises `ConfigError` for one that can't be used."""
    settings = _Settings(config, context)
    return lambda: BasicAuthFilter(settings)


def build_route(config: BasicAuthPerRoute, context: HttpFactoryContext) -> Access:
    """The users of a route."""
    return _access(config.users, config.realm, context.path)


def _access(source: Optional[DataSource], realm: str, path: str) -> Access:
    if source is None:
        raise ConfigError([Problem(f"{path}.users", _NO_USERS)])
    text = source.read(f"{path}.users", allow_empty=False).decode("utf-8", "surrogateescape")
    try:
        users = _parse(text)
    except ValueError as error:
        raise ConfigError([Problem(f"{path}.users", f"basic auth: {error}")]) from None
    return Access(users, wire(realm).replace("\\", "\\\\").replace('"', '\\"'))


def _parse(text: str) -> Users:
    users: Users = {}
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        name, colon, secret = line.partition(":")
        if not colon:
            raise ValueError("invalid htpasswd format, username:password is expected")
        if not name or not secret:
            raise ValueError("empty user name or password")
        if name in users:
            raise ValueError("duplicate users")
        if not secret.startswith(_SHA):
            raise ValueError("unsupported htpasswd format: please use {SHA}")
        if len(secret) != len(_SHA) + _HASH_CHARACTERS:
            raise ValueError("invalid htpasswd format, invalid SHA hash length")
        users[name] = secret[len(_SHA):]
    return users


def _decoded(token: str) -> str:
    """The credentials as text; "" for what is no base64. Padding may be missing."""
    bare = token.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return ""


def _is_right(users: Users, name: str, password: str) -> bool:
    """SHA-1 is what the format has; the comparison takes the same time whatever is wrong."""
    wanted = users.get(name, "")
    digest = base64.b64encode(hashlib.sha1(password.encode("utf-8", "surrogateescape")).digest())
    return hmac.compare_digest(digest, wanted.encode("utf-8", "surrogateescape"))


EXTENSION = HttpExtension(BasicAuth, build, BasicAuthPerRoute, build_route)
