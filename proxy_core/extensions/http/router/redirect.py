"""Internal redirects: a redirect of the upstream that the client does not see, because the request begins anew with the location.
Mirrors `Filter::setupRedirect` and `convertRequestHeadersForInternalRedirect`.
"""

from __future__ import annotations

from typing import Any, Final, List, Optional, Tuple
from urllib.parse import urlsplit

from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import DecoderFilterCallbacks
from ....http.route_api import InternalRedirectPolicy
from .config import RouterStats

SEE_OTHER: Final = 303
COUNT_KEY: Final = "num_internal_redirects"
ORIGINAL_URL: Final = "x-envoy-original-url"

Target = Tuple[str, str, str]  # scheme, host and port, path with query


def follow(
    decoder: DecoderFilterCallbacks, policy: InternalRedirectPolicy, head: ResponseHead, is_complete: bool, stats: RouterStats
) -> bool:
    """Begin the request anew; False if that is not possible, and the client gets the redirect. is_complete: the request is
    there as a whole, and its body was kept. The stream is gone when this returns True."""
    location = head.headers.get("location")
    if not is_complete or location is None:
        return False
    target = target_of(location)
    if target is None:
        stats.bad_location.inc()
        return False
    request, info = decoder.request, decoder.info
    scheme = "https" if (request.scheme or "http") == "https" else "http"
    if target[0] != scheme and not policy.allow_cross_scheme_redirect:
        stats.unsafe_scheme.inc()
        return False
    count = int(info.filter_state.get(COUNT_KEY, 0))
    if count >= policy.max_internal_redirects:
        stats.too_many_redirects.inc()
        return False
    saved = _Saved(request)
    _take_over(request, target, head, policy, f"{scheme}://{request.authority or ''}{request.path}")
    decoder.clear_route_cache()
    route = decoder.route
    if route is None:
        stats.no_redirect_route.inc()
    else:
        if head.status == SEE_OTHER and request.method not in ("GET", "HEAD"):
            request.method = "GET"
            request.headers.remove("content-length")
            decoder.decoding_buffer.clear()
        info.set_filter_state(COUNT_KEY, count + 1)
        facts: Any = info.http
        facts.response_code, info.response_code_details = head.status, "internal_redirect"
        if route.action is not None and info.upstream is not None:
            info.upstream.cluster = info.upstream.cluster_raw = route.action.cluster_name(request)
        if decoder.recreate_stream():
            return True
    saved.restore(request)
    decoder.clear_route_cache()
    return False


def target_of(location: str) -> Optional[Target]:
    """What an absolute URL names; None if it is none, or not one of HTTP."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        return None
    path = location.partition("://")[2][len(parts.netloc):].partition("#")[0]
    return parts.scheme.lower(), parts.netloc, path if path.startswith("/") else f"/{path}"


class _Saved:
    """A head as it was, for a redirect that does not happen after all."""

    __slots__ = ("_scheme", "_authority", "_path", "_method", "_headers")

    def __init__(self, head: RequestHead) -> None:
        self._scheme, self._authority, self._path, self._method = head.scheme, head.authority, head.path, head.method
        self._headers = head.headers.copy()

    def restore(self, head: RequestHead) -> None:
        """As before."""
        head.scheme, head.authority, head.path, head.method = self._scheme, self._authority, self._path, self._method
        head.headers = self._headers


def _take_over(request: RequestHead, target: Target, head: ResponseHead, policy: InternalRedirectPolicy, original: str) -> None:
    headers = request.headers
    for name in policy.response_headers_to_copy:
        values: List[Any] = head.headers.get_all(name.lower())
        headers.remove(name.lower())
        for value in values:
            headers.add(name.lower(), value)
    request.scheme, request.authority, request.path = target
    headers.set(ORIGINAL_URL, original)
