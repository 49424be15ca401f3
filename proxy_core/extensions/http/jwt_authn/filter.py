"""One request, let through or refused by its tokens. Mirrors `JwtAuthn::Filter`.

    CHECKING -> WAITING    keys must be fetched; head and body wait
    WAITING -> CHECKING    they are there, or can't be had: all is looked at once more
    CHECKING -> DONE       let through or refused
"""

from __future__ import annotations

import enum
from typing import Any, Dict, Final, Optional

from ....filters.api import Hold
from ....http.events import RequestHead
from ....http.filter_api import CONTINUE, STOP_ALL_AND_WATERMARK, STOP_ITERATION, FilterStatus, HttpFilter
from ....http.headers import Headers
from ..original_uri import original_uri
from .keys import Keys
from .provider import KeysNeeded
from .requirement import Attempt, Requirement
from .settings import Settings, WrongName
from .status import MISSING, OK, Status

_NAMESPACE: Final = "envoy.filters.http.jwt_authn"
_WRONG_NAME: Final = "Failed JWT authentication: "


class State(enum.Enum):
    """See the module docstring."""

    CHECKING = "checking"
    WAITING = "waiting for keys"
    DONE = "done"


CHECKING: Final = State.CHECKING
WAITING: Final = State.WAITING
DONE: Final = State.DONE


class JwtAuthnFilter(HttpFilter):
    """See the module docstring."""

    __slots__ = ("_settings", "_state", "_requirement", "_uri", "_keys", "_unavailable", "_hold", "_refused")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state = CHECKING
        self._requirement: Optional[Requirement] = None
        self._uri = ""
        self._keys: Optional[Keys] = None  # what is waited for
        self._unavailable: Dict[Keys, Status] = {}
        self._hold: Optional[Hold] = None
        self._refused = False

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Look at the tokens."""
        settings = self._settings
        for name in settings.written:
            head.headers.remove(name)
        if settings.bypasses_preflight and _is_preflight(head):
            settings.stats.cors_preflight_bypassed.value += 1
        else:
            try:
                self._requirement = settings.requirement(head, self.decoder.info, self.decoder.route_config())
            except WrongName as wrong:
                return self._refuse_name(str(wrong))
        if self._requirement is None:
            self._state = DONE
            settings.stats.allowed.value += 1
            return CONTINUE
        self._uri = original_uri(head)
        self._check(self._requirement, head)
        if self._state is WAITING:
            self._hold = self.decoder.hold("the keys of a JWT provider")
            return STOP_ALL_AND_WATERMARK
        return STOP_ITERATION if self._refused else CONTINUE

    def on_destroy(self) -> None:
        """Nobody waits any more."""
        self._state = DONE
        keys, self._keys = self._keys, None
        if keys is not None:
            keys.forget(self._on_fetched)

    def _check(self, requirement: Requirement, head: RequestHead) -> None:
        """Until there is an outcome, or something to wait for."""
        while True:
            self._state = CHECKING
            attempt = Attempt(head, self._settings.wall_clock(), self._unavailable)
            try:
                status = requirement(attempt)
            except KeysNeeded as needed:
                if self._has_answer(needed.keys):
                    continue
                return
            break
        self._state = DONE
        self._finish(attempt, status, head)

    def _has_answer(self, keys: Keys) -> bool:
        """Ask for keys; whether the answer came at once."""
        self._state, self._keys = WAITING, keys
        keys.fetch(self._on_fetched)
        return self._keys is not keys

    def _on_fetched(self, status: Status) -> None:
        keys, self._keys = self._keys, None
        if keys is None:
            return
        if status is not OK:
            self._unavailable[keys] = status
        hold, self._hold = self._hold, None
        if hold is None or self._requirement is None:
            return  # `_check` is on the stack
        hold.release()
        self._check(self._requirement, self.decoder.request)
        if self._state is WAITING:
            self._hold = self.decoder.hold("the keys of a JWT provider")
        elif not self._refused:
            self.decoder.continue_decoding()

    def _finish(self, attempt: Attempt, status: Status, head: RequestHead) -> None:
        stats = self._settings.stats
        stats.jwt_cache_hit.value += attempt.hits
        stats.jwt_cache_miss.value += attempt.misses
        metadata: Dict[str, Any] = dict(attempt.failures)
        changed = False
        for success in attempt.successes:
            changed = success.provider.apply(success.token, success.found, head) or changed
            metadata.update(success.provider.metadata(success.token))
        if metadata:
            self.decoder.info.set_dynamic_metadata(_NAMESPACE, metadata)
        if changed:
            self.decoder.clear_route_cache()
        if status is OK:
            stats.allowed.value += 1
        else:
            self._refuse(status)

    def _refuse(self, status: Status) -> None:
        strips = self._settings.strips_failure
        self._settings.stats.denied.value += 1
        self._refused = True
        error = ', error="invalid_token"' if status is not MISSING else ""
        challenge = f'Bearer realm="{self._uri}"{error}'

        def write(headers: Headers) -> None:
            headers.set("www-authenticate", challenge)

        code = 403 if status is Status.AUDIENCE_NOT_ALLOWED else 401
        body = b"" if strips else status.text.encode()
        self.decoder.send_local_reply(code, body, _details(status.text), None if strips else write)

    def _refuse_name(self, text: str) -> FilterStatus:
        self._state = DONE
        self._settings.stats.denied.value += 1
        self.decoder.send_local_reply(403, (_WRONG_NAME + text).encode(), _details(text))
        return STOP_ITERATION


def _details(text: str) -> str:
    return f"jwt_authn_access_denied{{{text.replace(' ', '_')}}}"


def _is_preflight(head: RequestHead) -> bool:
    headers = head.headers
    return head.method == "OPTIONS" and bool(headers.get("origin") and headers.get("access-control-request-method"))
