"""The plain operators of access-log formats: `%NAME%`, one function each over a `StreamInfo`.

Operators with parameters are in `parametrised`, those about HTTP in `http_operators`. Mirrors
`stream_info_formatter.cc`; the renderings are those measured on Envoy 1.40.
"""

from __future__ import annotations

import socket
import uuid
from typing import Callable, Dict, List, Optional

from ..stream_info import StreamInfo, UpstreamInfo
from .flags import long_flags, short_flags
from .values import Getter, LogContext, Value, split_address


def _upstream(read: Callable[[UpstreamInfo], Value], default: Value = None) -> Getter:
    """A fact of the upstream half; `default` before the first connect attempt."""
    def get(info: StreamInfo, context: LogContext) -> Value:
        return default if info.upstream is None else read(info.upstream)

    return get


def _tls(upstream: bool, fact: str) -> Getter:
    """A fact of a TLS session: `StreamInfo.tls` keys are the operator's last words in lower case.

    DOWNSTREAM_TLS_VERSION is tls["version"], DOWNSTREAM_PEER_SUBJECT is tls["peer_subject"]; lists are joined
    with ",".
    """
    def get(info: StreamInfo, context: LogContext) -> Value:
        session = info.tls if not upstream else (info.upstream.tls if info.upstream is not None else None)
        value: Value = session.get(fact) if session else None
        return ",".join(map(str, value)) or None if isinstance(value, list) else value

    return get


def _underscored(text: str) -> Optional[str]:
    return "_".join(text.split()) or None


def _duration_ms(info: StreamInfo, context: LogContext) -> Value:
    end = context.mono if info.end_mono is None else info.end_mono
    return max(0, int((end - info.start_mono) * 1000 + 1e-6))


def _host_name(upstream: UpstreamInfo) -> str:
    return upstream.host_name or upstream.host


def _stream_id(info: StreamInfo, context: LogContext) -> Value:
    """The id of a proxied stream, the same in all its lines. Made here: most connections never need one."""
    if not info.stream_id and info.upstream is not None:
        info.stream_id = str(uuid.uuid4())
    return info.stream_id or None


def _hosts(upstream: UpstreamInfo) -> Optional[str]:
    return ",".join(upstream.hosts_attempted) or None


def _hosts_without_port(upstream: UpstreamInfo) -> Optional[str]:
    return ",".join(split_address(host)[0] or "" for host in upstream.hosts_attempted) or None


def _without_port(address: Callable[[StreamInfo], str]) -> Getter:
    return lambda info, context: split_address(address(info))[0]


def _port(address: Callable[[StreamInfo], str]) -> Getter:
    return lambda info, context: split_address(address(info))[1]


def _address_family(name: str, address: Callable[[StreamInfo], str]) -> Dict[str, Getter]:
    """The three spellings of an address: `X_ADDRESS`, `X_ADDRESS_WITHOUT_PORT`, `X_PORT`."""
    return {
        f"{name}_ADDRESS": lambda info, context: address(info) or None,
        f"{name}_ADDRESS_WITHOUT_PORT": _without_port(address),
        f"{name}_PORT": _port(address),
    }


def _upstream_remote(info: StreamInfo) -> str:
    return info.upstream.remote_address if info.upstream is not None else ""


def _upstream_local(info: StreamInfo) -> str:
    return info.upstream.local_address if info.upstream is not None else ""


def _addresses() -> Dict[str, Getter]:
    table: Dict[str, Getter] = {}
    table.update(_address_family("DOWNSTREAM_REMOTE", lambda info: info.downstream_remote_address))
    table.update(_address_family("DOWNSTREAM_LOCAL", lambda info: info.downstream_local_address))
    table.update(
        _address_family("DOWNSTREAM_DIRECT_REMOTE", lambda info: info.downstream_direct_remote_address)
    )
    table.update(
        _address_family("DOWNSTREAM_DIRECT_LOCAL", lambda info: info.downstream_direct_local_address)
    )
    table.update(_address_family("UPSTREAM_REMOTE", _upstream_remote))
    table.update(_address_family("UPSTREAM_LOCAL", _upstream_local))
    # Only Envoy's internal listeners have endpoint ids.
    for name in ("DOWNSTREAM_LOCAL", "DOWNSTREAM_DIRECT_LOCAL"):
        table[f"{name}_ADDRESS_ENDPOINT_ID"] = lambda info, context: ""
    return table


def _upstream_facts() -> Dict[str, Getter]:
    return {
        "UPSTREAM_HOST": _upstream(lambda up: up.host or None),
        "UPSTREAM_HOST_NAME": _upstream(lambda up: _host_name(up) or None),
        "UPSTREAM_HOST_NAME_WITHOUT_PORT": _upstream(lambda up: split_address(_host_name(up))[0]),
        "UPSTREAM_HOSTS_ATTEMPTED": _upstream(_hosts),
        "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT": _upstream(_hosts_without_port),
        "UPSTREAM_HOST_NAMES_ATTEMPTED": _upstream(_hosts),
        "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT": _upstream(_hosts_without_port),
        "UPSTREAM_CLUSTER": _upstream(lambda up: up.cluster or None),
        "UPSTREAM_CLUSTER_RAW": _upstream(lambda up: up.cluster_raw or None),
        "UPSTREAM_CONNECTION_ID": _upstream(lambda up: up.connection_id, 0),
        "UPSTREAM_CONNECTION_IDS_ATTEMPTED": _upstream(
            lambda up: ",".join(map(str, up.connection_ids_attempted)) or None
        ),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT": _upstream(lambda up: up.attempt_count, 0),
        "UPSTREAM_CONNECTION_POOL_READY_DURATION": _upstream(lambda up: up.pool_ready_ms),
        "UPSTREAM_TRANSPORT_FAILURE_REASON": _upstream(lambda up: _underscored(up.transport_failure_reason)),
        "UPSTREAM_LOCAL_CLOSE_REASON": _upstream(lambda up: up.local_close_reason or None),
        "UPSTREAM_DETECTED_CLOSE_TYPE": _upstream(lambda up: up.detected_close_type),
        "UPSTREAM_WIRE_BYTES_SENT": _upstream(lambda up: up.wire_bytes_sent, 0),
        "UPSTREAM_WIRE_BYTES_RECEIVED": _upstream(lambda up: up.wire_bytes_received, 0),
    }


def _connection_facts() -> Dict[str, Getter]:
    host_name = socket.gethostname()
    return {
        "BYTES_RECEIVED": lambda info, context: info.bytes_received,
        "BYTES_SENT": lambda info, context: info.bytes_sent,
        "DOWNSTREAM_WIRE_BYTES_SENT": lambda info, context: info.wire_bytes_sent,
        "DOWNSTREAM_WIRE_BYTES_RECEIVED": lambda info, context: info.wire_bytes_received,
        "BYTES_RETRANSMITTED": lambda info, context: 0,  # QUIC's; 0 for TCP in Envoy too
        "PACKETS_RETRANSMITTED": lambda info, context: 0,
        "DURATION": _duration_ms,
        "RESPONSE_FLAGS": lambda info, context: short_flags(info.response_flags),
        "RESPONSE_FLAGS_LONG": lambda info, context: long_flags(info.response_flags),
        "RESPONSE_CODE_DETAILS": lambda info, context: _underscored(info.response_code_details),
        "CONNECTION_ID": lambda info, context: info.connection_id,
        "STREAM_ID": _stream_id,
        "UNIQUE_ID": lambda info, context: str(uuid.uuid4()),
        "CONNECTION_TERMINATION_DETAILS": lambda info, context: info.connection_termination_details or None,
        "DOWNSTREAM_LOCAL_CLOSE_REASON": lambda info, context: info.downstream_local_close_reason or None,
        "DOWNSTREAM_DETECTED_CLOSE_TYPE": lambda info, context: info.downstream_detected_close_type,
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON": lambda info, context: _underscored(
            info.downstream_transport_failure_reason
        ),
        "CLOSE_REASON": lambda info, context: info.close_reason or None,  # ours: one readable sentence
        "TLS_JA3_FINGERPRINT": lambda info, context: info.ja3_hash or None,
        "TLS_JA4_FINGERPRINT": lambda info, context: info.ja4_hash or None,
        "LISTENER_NAME": lambda info, context: info.listener_name or None,
        "FILTER_CHAIN_NAME": lambda info, context: info.filter_chain_name or None,
        "ACCESS_LOG_TYPE": lambda info, context: context.log_type,
        "HOSTNAME": lambda info, context: host_name,
        "CUSTOM_FLAGS": lambda info, context: "",
        "TRACE_ID": lambda info, context: None,  # there is no tracing
        "SPAN_ID": lambda info, context: None,
    }


_ALTERNATIVE_NAMES = ("URI_SAN", "DNS_SAN", "IP_SAN", "EMAIL_SAN", "OTHERNAME_SAN")


def _tls_facts() -> Dict[str, Getter]:
    table: Dict[str, Getter] = {}
    for side in ("DOWNSTREAM", "UPSTREAM"):
        upstream = side == "UPSTREAM"
        for fact in ("VERSION", "CIPHER", "SESSION_ID"):
            table[f"{side}_TLS_{fact}"] = _tls(upstream, fact.lower())
        facts: List[str] = ["PEER_SUBJECT", "PEER_ISSUER", "PEER_CERT"]
        for peer in ("PEER", "LOCAL"):
            kinds = _ALTERNATIVE_NAMES[:3] if upstream else _ALTERNATIVE_NAMES
            facts += [f"{peer}_{kind}" for kind in kinds]
        if not upstream:
            facts += [
                "LOCAL_SUBJECT", "PEER_SERIAL", "PEER_FINGERPRINT_256", "PEER_FINGERPRINT_1",
                "PEER_CHAIN_SERIALS", "PEER_CHAIN_FINGERPRINTS_256", "PEER_CHAIN_FINGERPRINTS_1",
            ]
        for fact in facts:
            table[f"{side}_{fact}"] = _tls(upstream, fact.lower())
    table["UPSTREAM_SERVER_NAME"] = _tls(True, "server_name")
    return table


def plain_operators() -> Dict[str, Getter]:
    """All operators that take neither parameters nor a length, by name."""
    table: Dict[str, Getter] = {}
    for part in (_addresses(), _upstream_facts(), _connection_facts(), _tls_facts()):
        table.update(part)
    return table
