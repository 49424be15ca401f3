"""Where a provider's keys come from: its configuration, or a server. Mirrors `JwksDataImpl`, `JwksFetcherImpl` and
`JwksAsyncFetcher`."""

from __future__ import annotations

import weakref
from typing import Any, Callable, Final, List, Optional, Protocol, Tuple

from ....config.model.core import DataSource
from ....config.model.http_uri import HttpUri
from ....errors import ConfigError, Problem
from ....http.events import HTTP_11, RequestHead, ResponseHead
from ....http.filter_api import HttpFactoryContext
from ....http.headers import Headers
from ....http.routing.text import wire
from ....network.own_address import own_ip
from ....observe.stats import Scope
from ..async_client import AsyncClient
from .config import RemoteJwks
from .jwks import Jwks, parse_jwks
from .status import Status

_CACHE_SECONDS: Final = 600.0
_RETRY_SECONDS: Final = 1.0
_USER_AGENT: Final = "Go-browser"  # Envoy's
_REFETCH_AHEAD: Final = 5.0  # seconds before the keys expire

# Called once, with what became of a fetch: OK, or why there are no keys.
OnFetched = Callable[[Status], None]


class Keys(Protocol):
    """The keys of a provider."""

    def current(self) -> Optional[Jwks]:
        """Those to be used now; None if they must be fetched first."""

    def fetch(self, on_fetched: OnFetched) -> None:
        """Get them; `on_fetched` may be called before this returns."""

    def forget(self, on_fetched: OnFetched) -> None:
        """Don't call it any more."""


class LocalKeys:
    """Written in the configuration."""

    __slots__ = ("_jwks",)

    def __init__(self, source: DataSource, name: str, path: str) -> None:
        """name: the provider's. Raises `ConfigError`. An empty source has no keys, so that no token is good."""
        data = source.read(f"{path}.local_jwks")
        try:
            self._jwks = parse_jwks(data) if data else None
        except ValueError as error:
            text = f"Provider '{name}' in jwt_authn config has invalid local jwks: {error}"
            raise ConfigError([Problem(f"{path}.local_jwks", text)]) from None

    def current(self) -> Optional[Jwks]:
        """See `Keys`."""
        return self._jwks

    def fetch(self, on_fetched: OnFetched) -> None:
        """There is nowhere to get them from."""
        on_fetched(Status.NO_VALID_KEYS)

    def forget(self, on_fetched: OnFetched) -> None:
        """It was called at once."""


class RemoteKeys:
    """Fetched when a request needs them, or ahead of that (`async_fetch`). Requests that need them at the same time share a
    fetch. The timer of the latter knows this object weakly: keys of a configuration that is gone are fetched no more."""

    __slots__ = ("_client", "_reactor", "_uri", "_duration", "_retry", "_is_ahead", "_jwks", "_until", "_waiting", "_is_fetching",
                 "_succeeded", "_failed", "__weakref__")

    def __init__(self, config: RemoteJwks, client: AsyncClient, context: HttpFactoryContext, scope: Scope) -> None:
        assert config.http_uri is not None
        self._client = client
        self._reactor: Any = context.reactor
        self._uri: HttpUri = config.http_uri
        self._duration = config.cache_duration or _CACHE_SECONDS
        ahead = config.async_fetch
        self._is_ahead = ahead is not None
        self._retry = (ahead.failed_refetch_duration if ahead is not None else None) or _RETRY_SECONDS
        self._jwks: Optional[Jwks] = None
        self._until = 0.0
        self._waiting: List[OnFetched] = []
        self._is_fetching = False
        self._succeeded = scope.counter("jwks_fetch_success")
        self._failed = scope.counter("jwks_fetch_failed")
        if self._is_ahead:
            self._fetch_in(0.0)

    def current(self) -> Optional[Jwks]:
        """See `Keys`. Keys that are fetched ahead are used until there are others."""
        return self._jwks if self._is_ahead or self._reactor.now < self._until else None

    def fetch(self, on_fetched: OnFetched) -> None:
        """See `Keys`."""
        self._waiting.append(on_fetched)
        self._start()

    def forget(self, on_fetched: OnFetched) -> None:
        """See `Keys`."""
        if on_fetched in self._waiting:
            self._waiting.remove(on_fetched)

    def _start(self) -> None:
        if self._is_fetching:
            return
        self._is_fetching = True
        uri = self._uri
        host, path = _split(uri.uri)
        headers = Headers([("user-agent", _USER_AGENT), ("x-forwarded-for", own_ip())])
        head = RequestHead("GET", path, HTTP_11, headers, host, "http")
        self._client.send(uri.cluster or "", head, b"", uri.timeout or 0.0, self._on_answer)

    def _on_answer(self, head: Optional[ResponseHead], body: bytes) -> None:
        self._is_fetching = False
        status = self._read(head, body)
        good = status is Status.OK
        (self._succeeded if good else self._failed).inc()
        if self._is_ahead:
            self._fetch_in(max(self._retry, self._duration - _REFETCH_AHEAD) if good else self._retry)
        waiting, self._waiting = self._waiting, []
        for on_fetched in waiting:
            on_fetched(status)

    def _read(self, head: Optional[ResponseHead], body: bytes) -> Status:
        if head is None or head.status != 200 or not body:
            return Status.FETCH_FAILED
        try:
            self._jwks = parse_jwks(body)
        except ValueError:
            return Status.FETCH_FAILED
        self._until = self._reactor.now + self._duration
        return Status.OK

    def _fetch_in(self, seconds: float) -> None:
        self._reactor.after(seconds, _Refetch(self))


class _Refetch:
    """What the timer of `async_fetch` calls."""

    __slots__ = ("_keys",)

    def __init__(self, keys: RemoteKeys) -> None:
        self._keys = weakref.ref(keys)

    def __call__(self) -> None:
        keys = self._keys()
        if keys is not None:
            keys.fetch(_nobody_waits)


def _nobody_waits(status: Status) -> None:
    """The fetch was made ahead of need."""


def _split(uri: str) -> Tuple[str, str]:
    rest = wire(uri).partition("://")[2] or wire(uri)
    host, slash, path = rest.partition("/")
    return host, slash + path or "/"
