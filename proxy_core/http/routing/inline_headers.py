"""Headers that Envoy keeps as one line each: a value that is added to one is joined with a comma. All measured on 1.40."""

from __future__ import annotations

from typing import Dict, Final, FrozenSet

_BOTH: Final = (
    "cache-control content-encoding content-length content-type connection keep-alive "
    "proxy-connection proxy-status transfer-encoding upgrade via x-request-id x-envoy-attempt-count "
    "x-envoy-decorator-operation"
)
_REQUEST: Final = (
    "accept accept-encoding access-control-request-headers access-control-request-method "
    "access-control-request-private-network authentication authorization expect grpc-accept-encoding grpc-timeout if-match "
    "if-modified-since if-none-match if-range if-unmodified-since origin pragma referer te user-agent x-client-trace-id "
    "x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-forwarded-client-cert "
    "x-envoy-downstream-service-cluster x-envoy-downstream-service-node x-envoy-expected-rq-timeout-ms "
    "x-envoy-external-address x-envoy-force-trace x-envoy-hedge-on-per-try-timeout x-envoy-internal x-envoy-ip-tags "
    "x-envoy-is-timeout-retry x-envoy-max-retries x-envoy-original-host x-envoy-original-path x-envoy-original-url "
    "x-envoy-retriable-header-names x-envoy-retriable-status-codes x-envoy-retry-on x-envoy-retry-grpc-on "
    "x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-rq-timeout-alt-response "
    "x-envoy-upstream-rq-timeout-ms"
)
_RESPONSE: Final = (
    "access-control-allow-credentials access-control-allow-headers access-control-allow-methods access-control-allow-origin "
    "access-control-allow-private-network access-control-expose-headers access-control-max-age age date etag expires "
    "grpc-message grpc-status "
    "last-modified location server vary x-envoy-degraded x-envoy-immediate-health-check-fail x-envoy-ratelimited "
    "x-envoy-upstream-canary x-envoy-upstream-healthchecked-cluster x-envoy-upstream-service-time"
)

# By the kind of message.
INLINE: Final[Dict[str, FrozenSet[str]]] = {
    "request": frozenset(f"{_BOTH} {_REQUEST}".split()), "response": frozenset(f"{_BOTH} {_RESPONSE}".split()),
}
