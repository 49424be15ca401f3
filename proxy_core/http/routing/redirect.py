"""`redirect` and `direct_response`: what is answered here. Mirrors `DirectResponseEntry` and `Http::Utility::newUri`."""

from __future__ import annotations

from typing import Any, Callable, Final, Optional

from ...config.model.route_answer import REDIRECT_CODES, DirectResponseAction, RedirectAction
from ...errors import ConfigError, Problem
from ...observe.stream_info import StreamInfo
from ..events import RequestHead
from .body_format import PLAIN_TEXT, BodyFormat
from .formatting import Formats
from .rewrite import NewPath, new_path, rewrite_path
from .text import wire

CREATED: Final = 201
_STANDARD_PORTS: Final = {"https": ":443", "http": ":80"}

Body = Callable[[StreamInfo], bytes]


class Redirect:
    """`route_api.DirectResponse` of a `redirect`."""

    __slots__ = (
        "status", "content_type", "_scheme", "_host", "_port", "_path", "_has_query", "_strip", "_new_path",
        "_changes_head",
    )

    def __init__(self, config: RedirectAction, new_path: Optional[NewPath]) -> None:
        """new_path: what the rewrites make of the path."""
        self.status = REDIRECT_CODES[config.response_code]
        self.content_type = ""
        self._scheme = "https" if config.https_redirect else wire(config.scheme_redirect or "")
        self._host = wire(config.host_redirect)
        self._port = f":{config.port_redirect}" if config.port_redirect else ""
        self._path = None if config.path_redirect is None else wire(config.path_redirect)
        self._has_query = "?" in (config.path_redirect or "")
        self._strip = config.strip_query
        self._new_path = new_path
        self._changes_head = new_path is not None and not config.path_rewrite

    def location(self, head: RequestHead, info: StreamInfo) -> str:
        """See `route_api.DirectResponse`. As in Envoy the head gets the new path too, which logs show; that of a format it
        does not get."""
        path = self._new_path(head, info) if self._new_path is not None else None
        if self._changes_head:
            rewrite_path(head, path)
        scheme = self._scheme or head.scheme
        host = self._host or host_for(head, scheme, self._port)
        path = head.path if path is None else path
        if self._path is not None:
            path = self._path if self._has_query else self._path + "".join(path.partition("?")[1:])
        if self._strip and not self._has_query:
            path = path.partition("?")[0]
        slash = "" if path.startswith("/") else "/"
        return f"{scheme}://{host}{self._port}{slash}{path}"

    def body(self, head: RequestHead, info: StreamInfo) -> bytes:
        """Redirects have none."""
        return b""


class TlsRedirect:
    """`route_api.DirectResponse` of a virtual host that asks for TLS."""

    __slots__ = ("status", "content_type")

    def __init__(self) -> None:
        self.status = REDIRECT_CODES["MOVED_PERMANENTLY"]
        self.content_type = ""

    def location(self, head: RequestHead, info: StreamInfo) -> str:
        """The same over https."""
        return f"https://{head.authority or ''}{head.path}"

    def body(self, head: RequestHead, info: StreamInfo) -> bytes:
        """Redirects have none."""
        return b""


class Direct:
    """`route_api.DirectResponse` of a `direct_response`."""

    __slots__ = ("status", "content_type", "_body", "_has_location")

    def __init__(self, status: int, body: Body, content_type: str = "") -> None:
        self.status = status
        self.content_type = content_type
        self._body = body
        self._has_location = status == CREATED or 300 <= status < 400

    def location(self, head: RequestHead, info: StreamInfo) -> str:
        """The request's own address, for answers that should say one."""
        return f"{head.scheme}://{head.authority or ''}{head.path}" if self._has_location else ""

    def body(self, head: RequestHead, info: StreamInfo) -> bytes:
        """See `route_api.DirectResponse`."""
        return self._body(info)


def prepare_redirect(config: RedirectAction, match: Any, formats: Formats, path: str) -> Redirect:
    """The `redirect` at `path` of a route with this RouteMatch. Raises ConfigError."""
    try:
        return Redirect(config, new_path(config, match, formats))
    except ValueError as error:
        raise ConfigError([Problem(path, str(error))]) from None


def prepare_direct(config: DirectResponseAction, formats: Formats, path: str, most_bytes: int) -> Direct:
    """The `direct_response` at `path`. most_bytes: of the body. Raises ConfigError."""
    data = config.body.read(f"{path}.body") if config.body is not None else b""
    if len(data) > most_bytes:
        text = f"response body size is {len(data)} bytes; maximum is {most_bytes}"
        raise ConfigError([Problem(f"{path}.body", text)])
    form = config.body_format
    if form is None:
        return Direct(config.status, lambda info: data)
    body_format = BodyFormat(form, formats, f"{path}.body_format")
    local = data.decode("utf-8", "surrogateescape")

    def body(info: StreamInfo) -> bytes:
        facts = info.http
        if facts is None:
            return body_format.render(info, formats.moment(info))
        facts.local_reply_body = local
        rendered = body_format.render(info, formats.moment(info))
        facts.local_reply_body = ""  # it is the body of the reply that will be: none is made yet
        return rendered

    # Envoy keeps a content-type of the route's headers unless the format has another one than plain text.
    return Direct(config.status, body, body_format.content_type if body_format.content_type != PLAIN_TEXT else "")


def host_for(head: RequestHead, scheme: str, port: str) -> str:
    """The host of the request as it stands in its redirect: without its port if there is a new one, or if it was the standard
    port of the scheme that is left."""
    host = head.authority or ""
    colon = host.rfind("]:") + 1 or -1 if host.startswith("[") else host.rfind(":")
    if colon < 0:
        return host
    protocol = head.headers.get("x-forwarded-proto") or ""
    standard = scheme != protocol and _STANDARD_PORTS.get(protocol) == host[colon:]
    return host[:colon] if port or standard else host
