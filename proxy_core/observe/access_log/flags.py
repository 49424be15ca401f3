"""Response flags: the short words that say how a connection ended badly, in the order Envoy prints them."""

from __future__ import annotations

from typing import Dict, Sequence

# short name -> long name; the order of this table is the order in a log line.
RESPONSE_FLAGS: Dict[str, str] = {
    "LH": "FailedLocalHealthCheck",
    "UH": "NoHealthyUpstream",
    "UT": "UpstreamRequestTimeout",
    "LR": "LocalReset",
    "UR": "UpstreamRemoteReset",
    "UF": "UpstreamConnectionFailure",
    "UC": "UpstreamConnectionTermination",
    "UO": "UpstreamOverflow",
    "NR": "NoRouteFound",
    "DI": "DelayInjected",
    "FI": "FaultInjected",
    "RL": "RateLimited",
    "UAEX": "UnauthorizedExternalService",
    "RLSE": "RateLimitServiceError",
    "DC": "DownstreamConnectionTermination",
    "URX": "UpstreamRetryLimitExceeded",
    "SI": "StreamIdleTimeout",
    "IH": "InvalidEnvoyRequestHeaders",
    "DPE": "DownstreamProtocolError",
    "UMSDR": "UpstreamMaxStreamDurationReached",
    "RFCF": "ResponseFromCacheFilter",
    "NFCF": "NoFilterConfigFound",
    "DT": "DurationTimeout",
    "UPE": "UpstreamProtocolError",
    "NC": "NoClusterFound",
    "OM": "OverloadManagerTerminated",
    "DF": "DnsResolutionFailed",
    "DO": "DropOverload",
    "DR": "DownstreamRemoteReset",
    "UDO": "UnconditionalDropOverload",
}
_RANK = {flag: rank for rank, flag in enumerate(RESPONSE_FLAGS)}


def short_flags(flags: Sequence[str]) -> str:
    """The flags joined with commas in table order; "-" for none. A flag outside the table comes last."""
    if not flags:
        return "-"
    if len(flags) == 1:
        return flags[0]
    return ",".join(sorted(flags, key=lambda flag: _RANK.get(flag, len(_RANK))))


def long_flags(flags: Sequence[str]) -> str:
    """As `short_flags`, with the long names."""
    short = short_flags(flags)
    return ",".join(RESPONSE_FLAGS.get(flag, flag) for flag in short.split(","))
