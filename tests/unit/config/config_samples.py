"""One valid JSON object for each message of the model, and valid and wrong values for each kind of field."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Dict, List, Type

from proxy_core.config import model
from proxy_core.config.descriptor import FieldSpec, Message
from proxy_core.config.fields import (
    AnyOf, Bool, Bytes, Double, Duration, Enum, Nested, String, Struct, TypeRegistry, Value,
)
from proxy_core.config.kinds import Integer, Kind
from proxy_core.config.model.bootstrap import CORE_TYPES

ANY = {
    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3"
    ".DownstreamConnectionsConfig",
    "max_active_downstream_connections": "10",
}
SOCKET_ADDRESS = {"address": "127.0.0.1", "port_value": 80}
ADDRESS = {"socket_address": SOCKET_ADDRESS}
MATCHER = {"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}}
STATUS_FILTER = {"status_code_filter": {"comparison": {"value": {"default_value": 500}}}}
NULL = {"null_match": {}}
METADATA_KEY = {"key": "k", "path": [{"key": "k"}]}
ROUTE = {"match": {"prefix": "/"}, "route": {"cluster": "c"}}

# The smallest valid object of each message that is not valid when empty; by its full name if the short one is not its alone.
_SMALLEST: Dict[str, Dict[str, Any]] = {
    "HttpStatus": {"code": "Forbidden"},
    "HttpUri": {"uri": "http://a/", "cluster": "c", "timeout": "1s"},
    "Address": ADDRESS,
    "SocketAddress": SOCKET_ADDRESS,
    "Pipe": {"path": "/run/x"},
    "CidrRange": {"address_prefix": "10.0.0.0"},
    "SocketOption": {"int_value": 1},
    "ConfigSource": {"path_config_source": {"path": "/etc/x.json"}},
    "PathConfigSource": {"path": "/etc/x.json"},
    "WatchedDirectory": {"path": "/etc"},
    "TransportSocket": {"name": "t", "typed_config": ANY},
    "Cluster.TransportSocketMatch": {"name": "m", "transport_socket": {"name": "t", "typed_config": ANY}},
    "TlvEntry": {"value": "eA=="},
    "TypedExtensionConfig": {"name": "t", "typed_config": ANY},
    "LocalityLbConfig": {"zone_aware_lb_config": {}},
    "Subset": {"subset_lb_policy": {}},
    "RuntimeFractionalPercent": {"default_value": {}},
    "RuntimeFeatureFlag": {"default_value": True},
    "TokenBucket": {"fill_interval": "1s"},
    "BackoffStrategy": {"base_interval": "1s"},
    "DataSource": {"inline_string": "x"},
    "SubstitutionFormatString": {"json_format": {}},
    "StringMatcher": {"exact": "x"},
    "RegexMatcher": {"regex": "a.*"},
    "ListStringMatcher": {"patterns": [{"exact": "x"}]},
    "DoubleMatcher": {"exact": 1.5},
    "ListMatcher": {"one_of": NULL},
    "OrMatcher": {"value_matchers": [NULL, NULL]},
    "ValueMatcher": NULL,
    "MetadataMatcher.PathSegment": {"key": "k"},
    "MetadataMatcher": MATCHER,
    "HeaderMatcher": {"name": "x-h"},
    "FilterStateMatcher": {"key": "k", "string_match": {"exact": "x"}},
    "PathMatcher": {"path": {"exact": "/"}},
    "ListenerFilterChainMatchPredicate": {"any_match": True},
    "ListenerFilterChainMatchPredicate.MatchSet": {"rules": [{"any_match": True}, {"any_match": True}]},
    "Policy": {"permissions": [{"any": True}], "principals": [{"any": True}]},
    "Permission": {"any": True},
    "Permission.Set": {"rules": [{"any": True}]},
    "Principal": {"any": True},
    "Principal.Set": {"ids": [{"any": True}]},
    "SourcedMetadata": {"metadata_matcher": MATCHER},
    "ComparisonFilter": {"value": {}},
    "StatusCodeFilter": {"comparison": {"value": {}}},
    "DurationFilter": {"comparison": {"value": {}}},
    "RuntimeFilter": {"runtime_key": "k"},
    "AndFilter": {"filters": [STATUS_FILTER, STATUS_FILTER]},
    "OrFilter": {"filters": [STATUS_FILTER, STATUS_FILTER]},
    "HeaderFilter": {"header": {"name": "x-h"}},
    "AccessLogFilter": STATUS_FILTER,
    "AccessLog": {"typed_config": ANY},
    "Filter": {"name": "f", "typed_config": ANY},
    "ListenerFilter": {"name": "f", "typed_config": ANY},
    "AdditionalAddress": {"address": ADDRESS},
    "Listener.ConnectionBalanceConfig": {"exact_balance": {}},
    "ClusterLoadAssignment": {"cluster_name": "c"},
    "ClusterLoadAssignment.Policy.DropOverload": {"category": "c"},
    "Cluster": {"name": "c"},
    "HealthCheck": {
        "timeout": "1s", "interval": "1s", "healthy_threshold": 1, "unhealthy_threshold": 1, "tcp_health_check": {},
    },
    "HealthCheck.Payload": {"text": "00ff"},
    "HealthCheck.HttpHealthCheck": {"path": "/"},
    "HealthCheck.CustomHealthCheck": {"name": "h", "typed_config": ANY},
    "HealthCheckEventFileSink": {"event_log_path": "/x"},
    "HeaderValue": {"key": "k"},
    "HeaderValueOption": {"header": {"key": "k"}},
    "Cluster.CustomClusterType": {"name": "envoy.cluster.dns"},
    "Cluster.EdsClusterConfig": {"eds_config": {"path_config_source": {"path": "/etc/x.json"}}},
    "Cluster.RefreshRate": {"base_interval": "1s"},
    "DnsCluster.RefreshRate": {"base_interval": "1s"},
    "SdsSecretConfig": {"name": "s"},
    "Secret": {"name": "s", "tls_certificate": {}},
    "SubjectAltNameMatcher": {"san_type": "DNS", "matcher": {"exact": "x"}},
    "RuntimeLayer": {"name": "l", "static_layer": {}},
    "DownstreamConnectionsConfig": {"max_active_downstream_connections": 1},
    "ResourceMonitor": {"name": "m", "typed_config": ANY},
    "RegexMatchAndSubstitute": {"pattern": {"regex": "a"}},
    "MetadataKey": {"key": "k", "path": [{"key": "k"}]},
    "MetadataKey.PathSegment": {"key": "k"},
    "HeaderMutation": {"remove": "x-h"},
    "HeaderMutation.RemoveOnMatch": {"key_matcher": {"exact": "x"}},
    "RouteConfiguration": {},
    "VirtualHost": {"name": "v", "domains": ["*"]},
    "Route": ROUTE,
    "RouteMatch": {"prefix": "/"},
    "QueryParameterMatcher": {"name": "q"},
    "CookieMatcher": {"name": "c", "string_match": {"exact": "x"}},
    "RouteAction": {"cluster": "c"},
    "RouteAction.RequestMirrorPolicy": {"cluster": "c"},
    "RouteAction.UpgradeConfig": {"upgrade_type": "CONNECT"},
    "RouteAction.HashPolicy": {"header": {"header_name": "x-h"}},
    "RouteAction.HashPolicy.Header": {"header_name": "x-h"},
    "RouteAction.HashPolicy.Cookie": {"name": "c"},
    "RouteAction.HashPolicy.CookieAttribute": {"name": "c"},
    "RouteAction.HashPolicy.QueryParameter": {"name": "q"},
    "RouteAction.HashPolicy.FilterState": {"key": "k"},
    "WeightedCluster": {"clusters": [{"name": "c", "weight": 1}]},
    "WeightedCluster.ClusterWeight": {"name": "c", "weight": 1},
    "DirectResponseAction": {"status": 200},
    "RetryPolicy.RetryBackOff": {"base_interval": "1s"},
    "RetryPolicy.ResetHeader": {"name": "x-h"},
    "RetryPolicy.RateLimitedRetryBackOff": {"reset_headers": [{"name": "x-h"}]},
    "RetryPolicy.RetryHostPredicate": {"name": "p", "typed_config": ANY},
    "Decorator": {"operation": "o"},
    "VirtualCluster": {"name": "v", "headers": [{"name": "x-h"}]},
    "RateLimit": {"actions": [{"remote_address": {}}]},
    "RateLimit.Action": {"remote_address": {}},
    "RateLimit.Action.RequestHeaders": {"header_name": "x-h", "descriptor_key": "k"},
    "RateLimit.Action.QueryParameters": {"query_parameter_name": "q", "descriptor_key": "k"},
    "RateLimit.Action.GenericKey": {"descriptor_value": "v"},
    "RateLimit.Action.HeaderValueMatch": {"descriptor_value": "v", "headers": [{"name": "x-h"}]},
    "RateLimit.Action.MetaData": {"descriptor_key": "k", "metadata_key": METADATA_KEY},
    "RateLimit.Action.DynamicMetaData": {"descriptor_key": "k", "metadata_key": METADATA_KEY},
    "RateLimit.Action.QueryParameterValueMatch": {"descriptor_value": "v", "query_parameters": [{"name": "q"}]},
    "RateLimit.Action.RemoteAddressMatch": {"descriptor_value": "v", "address_matcher": {}},
    "Http1ProtocolOptions.HeaderKeyFormat": {"proper_case_words": {}},
    "HttpProtocolOptions.ExplicitHttpConfig": {"http_protocol_options": {}},
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"explicit_http_config": {"http_protocol_options": {}}},
    "OverloadManager": {"resource_monitors": [{"name": "m", "typed_config": ANY}]},
}
_VALUES = {
    "FilterChainMatch.server_names": "*.example.com",
    "TagSpecifier.regex": "a(b)",
    "CidrRange.address_prefix": "2001:db8::",
    "CidrRange.prefix_len": 8,
    "HealthCheck.Payload.text": "00ff",
    "HealthCheck.HttpHealthCheck.method": "HEAD",
    "HealthCheck.HttpHealthCheck.codec_client_type": "HTTP1",
    "HealthCheck.HttpHealthCheck.expected_statuses": {"start": 200, "end": 300},
    "HealthCheck.HttpHealthCheck.retriable_statuses": {"start": 500, "end": 600},
    "CertificateValidationContext.verify_certificate_hash": "0A" * 32,
    "CertificateValidationContext.verify_certificate_spki": "A" * 43 + "=",
    "RouteMatch.path_separated_prefix": "/api",
    "Permission.destination_port_range": {"start": 1, "end": 2},
}


def registry() -> TypeRegistry:
    """The types that the samples use in an `Any`."""
    return TypeRegistry(CORE_TYPES)


def message_classes() -> List[Type[Message]]:
    """Every message class that the model declares, once, in a stable order."""
    found: Dict[str, Type[Message]] = {}
    for item in pkgutil.iter_modules(model.__path__):
        module = importlib.import_module(f"{model.__name__}.{item.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Message) and value is not Message:
                found[value.DESCRIPTOR.full_name] = value
    return [found[name] for name in sorted(found)]


def smallest(message_class: Type[Message]) -> Dict[str, Any]:
    """A valid object with as little in it as the message allows."""
    name = message_class.DESCRIPTOR.short_name
    if name == "Endpoint.AdditionalAddress":
        return {}
    return dict(_SMALLEST.get(message_class.DESCRIPTOR.full_name, _SMALLEST.get(name, {})))


def with_field(message_class: Type[Message], spec: FieldSpec, value: Any) -> Dict[str, Any]:
    """The smallest object with one field set, without the other members of its choice."""
    others = message_class.DESCRIPTOR.oneofs.get(spec.oneof, [])
    result = {key: item for key, item in smallest(message_class).items() if key not in others}
    return {**result, spec.name: value}


def valid_field(message_class: Type[Message], spec: FieldSpec) -> Any:
    """A valid JSON value of a whole field."""
    one = _VALUES.get(f"{message_class.DESCRIPTOR.short_name}.{spec.name}", valid_value(spec.kind))
    if spec.label == "repeated":
        return [one] * max(1, spec.min_items)
    return {"key": one} if spec.label == "map" else one


def valid_value(kind: Kind[Any]) -> Any:
    """A valid JSON value of a kind that is not its zero."""
    if isinstance(kind, Nested):
        return smallest(kind.child())
    if isinstance(kind, String):
        return kind.choices[-1] if kind.choices else "x" * max(1, kind.min_len)
    if isinstance(kind, Integer):
        return max(kind.low, 1)
    if isinstance(kind, Enum):
        return list(kind.numbers)[-1]
    if isinstance(kind, Duration):
        return "1.500s"
    if isinstance(kind, AnyOf):
        return ANY
    others = {Bool: True, Double: 1.5, Bytes: "AQI=", Struct: {"a": [1, None]}, Value: 1}
    return others[type(kind)]


def wrong_values(kind: Kind[Any]) -> List[Any]:
    """JSON values of every type that the kind does not take, and values out of its range."""
    if isinstance(kind, (Nested, Struct, AnyOf)):
        return [5, 1.5, "x", True, [], [{}]]
    if isinstance(kind, String):
        refused = [""] if kind.min_len else ["nosuch"] if kind.choices else []
        return [5, 1.5, True, [], {}, *refused]
    if isinstance(kind, Integer):
        out_of_range = [kind.low - 1, kind.high + 1, 1e300, "1e999999999999", "1e999999999999999999999"]
        return [1.5, "x", "", "0x10", " 1", True, [], {}, *out_of_range]
    if isinstance(kind, Enum):
        return ["NO_SUCH", "", 999, -1, 0.5, True, [], {}]
    if isinstance(kind, Duration):
        texts = ["5", "s", "", "1m", ".5s", "1.s", "5ss", " 5s", "+5s", "1e3s", "-1s", "1.0000000001s"]
        return [5, 0, True, [], {}, *texts, "315576000001s", "9" * 5000 + "s"]
    if isinstance(kind, Bytes):
        return [5, 1.5, True, [], {}, "a b", "a", "%"]
    if isinstance(kind, Double):
        return ["x", "", "NaN", "Infinity", True, [], {}, "1e400"]
    return {Bool: [0, 1, 1.5, "yes", "", [], {}]}[type(kind)]
