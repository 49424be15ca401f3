"""One provider: what a token of its must be like, and what becomes of a good one. Mirrors `AuthenticatorImpl` and `JwksData`."""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from typing import Any, Callable, Dict, Final, FrozenSet, List, Optional, Sequence, Tuple

from ....config.model.matcher import StringMatcher
from ....http.events import RequestHead
from ....http.routing.text import header_value, wire
from ....observe.access_log.matchers import string_matcher
from .config import JwtCacheConfig, JwtProvider
from .extract import Found, locations_of
from .keys import Keys
from .status import Status
from .token import Token

_SKEW_SECONDS: Final = 60
_CACHE_TOKENS, _CACHE_TOKEN_BYTES = 100, 4096
_MOST_INTEGER: Final = 2**64


class KeysNeeded(Exception):
    """The keys must be fetched before anything can be said."""

    def __init__(self, keys: Keys) -> None:
        super().__init__("keys are needed")
        self.keys = keys


class Provider:
    """As configured. locations: where its tokens are. written: the headers that it writes, and nobody else may."""

    __slots__ = ("config", "locations", "written", "keys", "_issuer", "_audiences", "_skew", "_is_subject", "_cache",
                 "_payload_header", "_claims")

    def __init__(self, config: JwtProvider, keys: Keys) -> None:
        self.config = config
        self.locations = locations_of(config)
        self.keys = keys
        self._issuer = config.issuer
        self._audiences = audience_set(config.audiences)
        self._skew = config.clock_skew_seconds or _SKEW_SECONDS
        self._is_subject = _subject_test(config.subjects)
        self._cache = _Cache(config.jwt_cache_config) if config.jwt_cache_config is not None else None
        self._payload_header = wire(config.forward_payload_header.lower())
        self._claims: List[Tuple[str, List[str]]] = [
            (wire(one.header_name.lower()), [step.key for step in one.claim_path] or one.claim_name.split("."))
            for one in config.claim_to_headers
        ]
        names = [name for name, _ in self._claims] + [self._payload_header]
        self.written: FrozenSet[str] = frozenset(name for name in names if name)

    # -- checking --------------------------------------------------------------------------------------------------

    def issues(self, token: Token) -> bool:
        """Whether it may be a token of this provider."""
        return not self._issuer or token.issuer == self._issuer

    def remembers(self, text: str) -> bool:
        """Whether the signature of this token was good before."""
        return self._cache is not None and self._cache.has(text)

    def check(self, token: Token, text: str, now: float, audiences: Optional[FrozenSet[str]]) -> Status:
        """Everything but the issuer. text: the token's. now: seconds since the epoch. audiences: instead of the provider's own.
        Raises `KeysNeeded`."""
        status = token.time_status(now, self._skew)
        if status is not Status.OK:
            return status
        if not self._is_subject(token.subject) or not self._is_lifetime_allowed(token, now):
            return Status.VERIFICATION_FAILS
        wanted = self._audiences if audiences is None else audiences
        if wanted and not any(plain_audience(one) in wanted for one in token.audiences):
            return Status.AUDIENCE_NOT_ALLOWED
        if self.remembers(text):
            return Status.OK
        jwks = self.keys.current()
        if jwks is None:
            raise KeysNeeded(self.keys)
        status = jwks.check(token)
        if status is Status.OK and self._cache is not None:
            self._cache.add(text)
        return status

    def _is_lifetime_allowed(self, token: Token, now: float) -> bool:
        longest = self.config.max_lifetime
        if not token.expires:
            return not self.config.require_expiration and longest is None
        return longest is None or token.expires - now <= longest

    # -- what becomes of a good one --------------------------------------------------------------------------------

    def apply(self, token: Token, found: Found, head: RequestHead) -> bool:
        """Write and remove headers as configured. Whether the route should be chosen again."""
        headers, changed = head.headers, False
        if self._payload_header:
            value = token.payload_text
            if self.config.pad_forward_payload_header:
                value += "=" * (-len(value) % 4)
            headers.add(self._payload_header, value)
            changed = True
        for name, path in self._claims:
            value = claim_text(_claim(token.payload, path))
            if value:
                headers.add(name, header_value(value))
                changed = True
        if not self.config.forward:
            found.location.remove(head)
        return changed and self.config.clear_route_cache

    def metadata(self, token: Token) -> Dict[str, Any]:
        """What a good token leaves in the dynamic metadata."""
        config, found = self.config, {}
        if config.payload_in_metadata:
            found[config.payload_in_metadata] = self._normalized(token.payload)
        if config.header_in_metadata:
            found[config.header_in_metadata] = token.header
        return found

    def _normalized(self, payload: Dict[str, Any]) -> Dict[str, Any]:
        rules = self.config.normalize_payload_in_metadata
        if rules is None:
            return payload
        changed = dict(payload)
        for name in rules.space_delimited_claims:
            if isinstance(changed.get(name), str):
                changed[name] = changed[name].split()
        return changed


class _Cache:
    """The tokens whose signature was good, the last used ones. What else is asked of a token depends on the time and is not
    kept."""

    __slots__ = ("_most", "_most_bytes", "_tokens")

    def __init__(self, config: JwtCacheConfig) -> None:
        self._most = config.jwt_cache_size or _CACHE_TOKENS
        self._most_bytes = config.jwt_max_token_size or _CACHE_TOKEN_BYTES
        self._tokens: OrderedDict[str, None] = OrderedDict()

    def has(self, text: str) -> bool:
        """Whether this one is known."""
        if text not in self._tokens:
            return False
        self._tokens.move_to_end(text)
        return True

    def add(self, text: str) -> None:
        """Remember it, perhaps instead of another one."""
        if len(text) > self._most_bytes:
            return
        self._tokens[text] = None
        if len(self._tokens) > self._most:
            self._tokens.popitem(last=False)


def audience_set(audiences: Sequence[str]) -> FrozenSet[str]:
    """Audiences as they are compared."""
    return frozenset(plain_audience(one) for one in audiences)


def plain_audience(audience: str) -> str:
    """Without scheme and the slash at its end, as Envoy compares them."""
    for scheme in ("http://", "https://"):
        if audience.startswith(scheme):
            audience = audience[len(scheme):]
            break
    return audience[:-1] if audience.endswith("/") else audience


def claim_text(value: Any) -> str:
    """A claim as text for a header: numbers and truth as Envoy prints them, lists and objects as base64 of their JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        number = float(value)
        return str(int(number)) if 0 <= number < _MOST_INTEGER and number == int(number) else f"{number:f}"
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")


def _claim(payload: Dict[str, Any], path: Sequence[str]) -> Any:
    found: Any = payload
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found


def _subject_test(matcher: Optional[StringMatcher]) -> Callable[[str], bool]:
    return string_matcher(matcher) if matcher is not None else lambda subject: True
