"""When rbac decides and what it does then: on one connection with simulated time, and behind a listener."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.load import decode_bootstrap
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.extensions.network.rbac.config import RbacConfig
from proxy_core.extensions.network.rbac.filter import ContinuousRbacFilter, RbacFilter
from proxy_core.extensions.network.rbac.prepared import Prepared
from proxy_core.extensions.rbac.outcome import denied_details
from proxy_core.filters.api import CONTINUE
from proxy_core.network.transport import RAW
from proxy_core.observe.stats import StatsStore
from proxy_core.server.extensions import Extensions
from proxy_core.testing.recording import RecordingFilter
from tests.support.engine import Engine, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import Server
from tests.support.rig import Rig

Json = Dict[str, Any]
ANY = {"any": True}
EVERYBODY = {"policies": {"all of them": {"permissions": [ANY], "principals": [ANY]}}}
NOBODY = {"policies": {"none": {"permissions": [{"not_rule": ANY}], "principals": [ANY]}}}
CERTIFIED = {"policies": {"c": {"permissions": [ANY], "principals": [{"authenticated": {"principal_name": {"exact": "u"}}}]}}}
DENY = {"action": "DENY", **EVERYBODY}
DETAILS = "rbac_access_denied_matched_policy[all_of_them]"


def marked(value: str) -> Json:
    """Rules that let in whose metadata has this value."""
    matcher = {"filter": "ns", "path": [{"key": "k"}], "value": {"string_match": {"exact": value}}}
    return {"policies": {"m": {"permissions": [{"metadata": matcher}], "principals": [ANY]}}}


class SlowHandshake:
    """A transport like TLS: up when the test says so, raw otherwise."""

    name = "tls"
    connect_timeout = 0.0
    has_output = has_input = False

    def __init__(self) -> None:
        self.attach, self.read, self.write, self.send_end, self.close = RAW.attach, RAW.read, RAW.write, RAW.send_end, RAW.close
        self.ready = False
        self.known: Optional[Json] = None

    def preload(self, data: bytes) -> bytes:
        return data

    def handshake(self, sock: Any) -> bool:
        return self.ready

    def publish(self, info: Any) -> None:
        info.tls = self.known

    def facts(self) -> Optional[Json]:
        return self.known


class Case:
    """A connection with an rbac filter and a last filter behind it. front: filters before it."""

    def __init__(self, front: Any = (), transport: Any = None, half_close: bool = True, **config: Any) -> None:
        self.stats = StatsStore(lambda: 0.0)
        prepared = Prepared(decode(RbacConfig, {"stat_prefix": "r", **config}, TypeRegistry([])), self.stats)
        self.log: List[Any] = []
        self.last = RecordingFilter("last", self.log)
        self.filter = (ContinuousRbacFilter if prepared.continuous else RbacFilter)(prepared)
        self.rig = Rig(filters=[*front, self.filter, self.last], half_close=half_close, established=False)
        if transport is not None:
            self.rig.connection.transport = transport
        self.info = self.rig.connection.info
        self.info.downstream_remote_address = self.info.downstream_direct_remote_address = "10.0.0.1:5"
        self.info.downstream_local_address = "10.0.0.9:80"
        self.rig.establish()

    def send(self, data: bytes = b"x") -> None:
        self.rig.peer.send(data)
        self.rig.turn(2)

    def finish_handshake(self, transport: SlowHandshake, **facts: Any) -> None:
        transport.ready, transport.known = True, facts
        self.rig.connection.on_ready(1)
        self.rig.turn()

    @property
    def counted(self) -> List[int]:
        """allowed, denied, shadow_allowed, shadow_denied"""
        names = ("allowed", "denied", "shadow_allowed", "shadow_denied")
        return [int(self.stats.find(f"r.rbac.{name}").value) for name in names]  # type: ignore[union-attr]

    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self.rig.closed

    def ended(self) -> bool:
        """Whether the client has heard our end."""
        return bool(self.rig.peer.ended)

    def reached(self) -> bool:
        """Whether the last filter ever heard of the connection."""
        return ("last", "new") in self.log


def test_who_is_let_in_reaches_the_next_filter_at_once_and_is_counted_with_the_first_bytes() -> None:
    case = Case(rules=EVERYBODY)
    assert case.reached() and case.counted == [0, 0, 0, 0]
    case.send(b"one")
    case.send(b"two")
    assert bytes(case.last.data) == b"onetwo" and case.counted == [1, 0, 0, 0]
    assert not case.info.connection_termination_details and not case.closed()


def test_a_finish_without_bytes_counts_as_the_first_bytes() -> None:
    case = Case(rules=EVERYBODY)
    case.rig.peer.finish()
    case.rig.turn(2)
    assert case.counted == [1, 0, 0, 0] and case.last.ends == 1


def test_a_denied_client_that_says_nothing_hears_an_end_and_nobody_hears_of_it() -> None:
    """Envoy lets it wait, dials the upstream, and shows it what a server that speaks first says."""
    case = Case(rules=DENY)
    assert not case.reached() and case.counted == [0, 1, 0, 0]
    case.rig.turn(2)
    assert case.ended() and not case.rig.peer.was_reset and not case.closed()
    case.rig.advance(0.9)
    assert not case.closed()
    case.rig.advance(0.2)
    assert case.closed() and case.rig.connection.local_close_details == "rbac_deny_close"
    assert case.rig.reason == "local policy: rbac_deny_close (rbac policy 'all of them')"
    assert case.info.connection_termination_details == DETAILS and case.info.response_flags == ()
    assert not case.reached() and not case.rig.errors and not case.rig.stalls and not case.rig.peer.got


@pytest.mark.parametrize("first", ["bytes", "end", "bytes and end"])
@pytest.mark.parametrize("half_close", [True, False])
def test_the_first_bytes_or_the_end_of_a_denied_client_close_the_connection_with_an_orderly_end(
    first: str, half_close: bool
) -> None:
    case = Case(rules=DENY, half_close=half_close)
    if "bytes" in first:
        case.rig.peer.send(b"ping")
    if "end" in first:
        case.rig.peer.finish()
    case.rig.turn(3)
    assert case.closed() and not case.rig.peer.was_reset
    assert case.rig.connection.local_close_details == "rbac_deny_close" and case.counted == [0, 1, 0, 0]
    assert case.rig.connection.bytes_read == 4 * ("bytes" in first) and not case.reached()


def test_a_denied_client_that_resets_is_gone_at_once() -> None:
    case = Case(rules=DENY)
    case.rig.peer.reset()
    case.rig.turn(3)
    assert case.closed() and case.info.connection_termination_details == DETAILS and not case.rig.errors


def test_rules_without_policies_deny_and_no_rules_at_all_do_not_even_count() -> None:
    denied, free = Case(rules={}), Case()
    assert denied.counted == [0, 1, 0, 0] and not denied.reached()
    assert denied.info.connection_termination_details == "rbac_access_denied_matched_policy[none]"
    denied.send()
    assert denied.rig.reason == "local policy: rbac_deny_close (no rbac policy matches)"
    free.send()
    assert free.reached() and free.counted == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "policy, text", [("", "none"), ("a b", "a_b"), (" \t\n\v\f\r", "______"), ("é\u00a0x", "é\u00a0x"), ("a", "a")]
)
def test_whitespace_in_a_policy_name_does_not_break_the_details_into_words(policy: str, text: str) -> None:
    assert denied_details(policy) == f"rbac_access_denied_matched_policy[{text}]"


# -- shadow rules, LOG -------------------------------------------------------------------------------------------------

def test_shadow_rules_count_and_leave_metadata_but_decide_nothing() -> None:
    case = Case(rules=EVERYBODY, shadow_rules=DENY)
    case.send()
    assert case.counted == [1, 0, 0, 1] and bytes(case.last.data) == b"x"
    assert case.info.dynamic_metadata["envoy.filters.network.rbac"] == {
        "shadow_effective_policy_id": "all of them", "shadow_engine_result": "denied",
    }


def test_shadow_rules_of_a_denied_connection_are_counted_with_the_denial() -> None:
    case = Case(rules=DENY, shadow_rules={"action": "DENY", **NOBODY})
    assert case.counted == [0, 1, 1, 0]
    assert case.info.dynamic_metadata["envoy.filters.network.rbac"] == {"shadow_engine_result": "allowed"}
    case.send()
    assert case.counted == [0, 1, 1, 0]


@pytest.mark.parametrize("prefix, name", [("trial", "trial"), ("trial.", "trial"), ("a.b_", "a.b_")])
def test_a_shadow_prefix_stands_before_the_names_of_stats_and_of_metadata(prefix: str, name: str) -> None:
    case = Case(shadow_rules=EVERYBODY, shadow_rules_stat_prefix=prefix)
    case.send()
    found = case.stats.find(f"r.rbac.{name}.shadow_allowed")
    assert found is not None and found.value == 1  # type: ignore[union-attr]
    assert case.stats.find("r.rbac.shadow_allowed") is None
    assert case.info.dynamic_metadata["envoy.filters.network.rbac"] == {
        f"{prefix}shadow_effective_policy_id": "all of them", f"{prefix}shadow_engine_result": "allowed",
    }


@pytest.mark.parametrize("prefix", ["x", "x."])
def test_all_four_stats_exist_from_the_start_with_or_without_the_dot_of_the_prefix(prefix: str) -> None:
    case = Case(stat_prefix=prefix)
    for name in ("allowed", "denied", "shadow_allowed", "shadow_denied"):
        assert case.stats.find(f"x.rbac.{name}") is not None


@pytest.mark.parametrize("rules, hint", [(EVERYBODY, True), (NOBODY, False)])
def test_log_lets_everybody_in_and_notes_who_matched(rules: Json, hint: bool) -> None:
    case = Case(rules={"action": "LOG", **rules})
    case.send()
    assert case.counted == [1, 0, 0, 0] and case.info.dynamic_metadata["envoy.common"] == {"access_log_hint": hint}
    shadow = Case(shadow_rules={"action": "LOG", **rules})
    shadow.send()
    assert shadow.counted == [0, 0, 1, 0] and "envoy.common" not in shadow.info.dynamic_metadata


# -- delay_deny --------------------------------------------------------------------------------------------------------

def test_a_delayed_denial_keeps_the_client_waiting_and_then_closes() -> None:
    case = Case(rules=DENY, delay_deny="5s")
    case.send(b"ping")
    case.rig.advance(4.9)
    assert not case.closed() and not case.ended() and case.counted == [0, 1, 0, 0]
    case.send(b"more")
    case.rig.advance(0.2)
    assert case.closed() and not case.rig.peer.was_reset and not case.reached() and not case.rig.stalls
    assert case.rig.connection.local_close_details == "rbac_deny_close" and case.counted == [0, 1, 0, 0]


def test_a_silent_client_with_a_delayed_denial_hears_an_end_after_the_delay() -> None:
    case = Case(rules=DENY, delay_deny="5s")
    case.rig.advance(5.1)
    case.rig.turn()
    assert case.ended() and not case.closed()
    case.send()
    assert case.closed() and not case.rig.peer.was_reset


@pytest.mark.parametrize("half_close", [True, False])
@pytest.mark.parametrize("said", [b"", b"ping"])
def test_a_client_that_finishes_before_the_delay_is_over_gives_its_place_back_at_once(half_close: bool, said: bytes) -> None:
    """Envoy does not look, and keeps the descriptor until the delay is over."""
    case = Case(rules=DENY, delay_deny="500s", half_close=half_close)
    if said:
        case.send(said)
    case.rig.peer.finish()
    case.rig.turn(2)
    assert case.closed() and case.rig.connection.local_close_details == "rbac_deny_close"
    case.rig.advance(600.0)
    assert not case.rig.errors and case.counted == [0, 1, 0, 0]


def test_a_client_that_resets_before_the_delay_is_over_is_gone_at_once() -> None:
    case = Case(rules=DENY, delay_deny="500s")
    case.rig.peer.reset()
    case.rig.turn(2)
    assert case.closed()
    case.rig.advance(600.0)
    assert not case.rig.errors


def test_a_client_that_floods_during_the_delay_is_read_no_further_than_the_buffer_limit() -> None:
    case = Case(rules=DENY, delay_deny="5s")
    for _ in range(100):
        case.rig.peer.send(bytes(65536))
    case.rig.turn(200)
    limit = case.rig.settings.buffer_limit
    assert limit <= case.rig.connection.read_buffer.size <= limit + (1 << 18)
    case.rig.advance(5.1)
    assert case.closed()


# -- what is not known when the connection is new ----------------------------------------------------------------------

def test_with_tls_a_rule_on_the_certificate_is_asked_after_the_handshake_and_nothing_runs_before() -> None:
    transport = SlowHandshake()
    case = Case(transport=transport, rules=CERTIFIED)
    assert not case.reached() and case.counted == [0, 0, 0, 0]
    case.finish_handshake(transport, peer_uri_san=["u"])
    assert case.reached() and not case.rig.stalls
    case.send(b"hi")
    assert bytes(case.last.data) == b"hi" and case.counted == [1, 0, 0, 0]


def test_with_tls_a_wrong_certificate_is_denied_as_soon_as_the_handshake_is_done() -> None:
    transport = SlowHandshake()
    case = Case(transport=transport, rules=CERTIFIED)
    case.finish_handshake(transport, peer_uri_san=["other"])
    assert not case.reached() and case.counted == [0, 1, 0, 0] and case.ended()
    case.send()
    assert case.closed() and not case.rig.peer.was_reset


def test_with_tls_rules_on_addresses_let_the_next_filter_begin_before_the_handshake() -> None:
    assert Case(transport=SlowHandshake(), rules=EVERYBODY).reached()


def test_with_tls_a_denial_by_address_is_told_through_tls_once_the_handshake_is_done() -> None:
    transport = SlowHandshake()
    case = Case(transport=transport, rules=DENY)
    case.rig.turn()
    assert not case.reached() and not case.ended() and not case.closed()
    case.finish_handshake(transport)
    assert case.ended() and not case.reached()
    case.send()
    assert case.closed()


@pytest.mark.parametrize("delay", [{}, {"delay_deny": "1s"}])
def test_with_tls_a_denied_client_that_does_not_finish_its_handshake_is_not_waited_for(delay: Json) -> None:
    case = Case(transport=SlowHandshake(), rules=DENY, **delay)
    case.rig.advance(1.1)
    assert case.closed() and case.rig.connection.local_close_details == "rbac_deny_close" and not case.rig.errors


def test_without_tls_nobody_is_authenticated_and_that_is_known_at_once() -> None:
    case = Case(rules=CERTIFIED)
    assert case.counted == [0, 1, 0, 0]


def test_metadata_of_listener_filters_is_known_when_the_connection_is_new() -> None:
    config = decode(RbacConfig, {"stat_prefix": "r", "rules": marked("good")}, TypeRegistry([]))
    prepared = Prepared(config, StatsStore(lambda: 0.0))
    for value, reached in (("good", True), ("bad", False)):
        last = RecordingFilter("last")
        rig = Rig(filters=[RbacFilter(prepared), last], established=False)
        rig.connection.info.set_dynamic_metadata("ns", {"k": value})
        rig.establish()
        rig.turn()
        assert (("last", "new") in last.log) is reached and rig.peer.ended is not reached


def marking_filter(value: str) -> RecordingFilter:
    """A filter that sets metadata when the first bytes come."""
    front = RecordingFilter("front")

    def mark(data: Any, end_stream: bool) -> Any:
        front.callbacks.connection.info.set_dynamic_metadata("ns", {"k": value})
        return CONTINUE
    front.on_data_do = mark
    return front


@pytest.mark.parametrize("value, allowed", [("good", True), ("bad", False)])
def test_metadata_that_a_filter_in_front_sets_with_the_first_bytes_is_waited_for_and_nothing_runs_before(
    value: str, allowed: bool
) -> None:
    case = Case(front=[marking_filter(value)], rules=marked("good"))
    case.rig.turn(2)
    assert not case.reached() and case.counted == [0, 0, 0, 0] and not case.ended() and not case.rig.stalls
    case.send(b"hi")
    assert case.reached() is allowed and case.closed() is not allowed
    assert case.counted == [int(allowed), int(not allowed), 0, 0]
    assert bytes(case.last.data) == b"hi" * allowed


def test_who_is_let_in_by_metadata_may_still_be_denied_by_that_of_the_first_bytes() -> None:
    inverted = marked("bad")
    case = Case(front=[marking_filter("bad")], rules={"action": "DENY", **inverted})
    assert case.reached()
    case.send()
    assert case.closed() and case.counted == [0, 1, 0, 0] and not case.last.data


def test_a_filter_in_front_that_continues_later_brings_its_metadata_along() -> None:
    front = RecordingFilter("front")
    case = Case(front=[front], rules=marked("good"))
    case.send(b"early")
    assert not case.reached()
    case.info.set_dynamic_metadata("ns", {"k": "bad"})
    front.callbacks.connection.read_buffer.append(b"rest")
    front.callbacks.continue_reading()
    case.rig.turn()
    assert case.closed() and case.counted == [0, 1, 0, 0] and not case.reached()


def test_a_question_that_is_asked_twice_does_not_find_its_own_answer_in_the_metadata() -> None:
    """LOG writes whether it matched, and this rule asks whether that was false."""
    matcher = {"filter": "envoy.common", "path": [{"key": "access_log_hint"}], "value": {"bool_match": False}}
    rules = {"action": "LOG", "policies": {"p": {"permissions": [{"metadata": matcher}], "principals": [ANY]}}}
    for mode in ("ONE_TIME_ON_FIRST_BYTE", "CONTINUOUS"):
        front = RecordingFilter("front", on_data_do=lambda data, end_stream: CONTINUE)
        case = Case(front=[front], rules=rules, enforcement_type=mode)
        case.info.set_dynamic_metadata("envoy.common", {"access_log_hint": False})
        case.send()
        assert case.info.dynamic_metadata["envoy.common"] == {"access_log_hint": True}


# -- CONTINUOUS --------------------------------------------------------------------------------------------------------

def test_continuous_asks_and_counts_again_with_every_read_and_closes_when_the_answer_changes() -> None:
    case = Case(rules=marked("good"), shadow_rules=EVERYBODY, enforcement_type="CONTINUOUS", front=[RecordingFilter(
        "front", on_data_do=lambda data, end_stream: CONTINUE)])
    case.info.set_dynamic_metadata("ns", {"k": "good"})
    case.send(b"1")
    case.send(b"2")
    assert case.counted == [2, 0, 2, 0] and bytes(case.last.data) == b"12"
    case.info.set_dynamic_metadata("ns", {"k": "bad"})
    case.rig.write(b"queued")
    case.send(b"3")
    assert case.closed() and case.counted == [2, 1, 3, 0] and bytes(case.last.data) == b"12"
    assert case.info.connection_termination_details == "rbac_access_denied_matched_policy[none]"


def test_one_time_does_not_ask_again() -> None:
    case = Case(rules=marked("good"), front=[RecordingFilter("front", on_data_do=lambda data, end_stream: CONTINUE)])
    case.info.set_dynamic_metadata("ns", {"k": "good"})
    case.send(b"1")
    case.info.set_dynamic_metadata("ns", {"k": "bad"})
    case.send(b"2")
    assert case.counted == [1, 0, 0, 0] and bytes(case.last.data) == b"12"


def test_continuous_denies_as_early_as_the_other_kind_and_counts_that_once() -> None:
    case = Case(rules=DENY, enforcement_type="CONTINUOUS")
    case.rig.turn()
    assert case.ended() and not case.reached()
    case.send()
    assert case.closed() and case.counted == [0, 1, 0, 0]


def test_bytes_pass_a_filter_that_asks_once_without_being_looked_at_and_one_that_asks_again_sees_all() -> None:
    once, always = Case(rules=EVERYBODY), Case(rules=EVERYBODY, enforcement_type="CONTINUOUS")
    for case in (once, always):
        case.send()
    assert once.rig.connection.read_chain.lone is once.last
    assert always.rig.connection.read_chain.lone is None


# -- configuration -----------------------------------------------------------------------------------------------------

ROOT = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config"
TYPE = "type.googleapis.com/envoy.extensions.filters.network"


@pytest.fixture(scope="module")
def extensions() -> Iterator[Extensions]:
    yield Extensions()


def problems(extensions: Extensions, **config: Any) -> List[str]:
    """What is wrong with the filter's configuration, from decoding or from building."""
    chain = [
        {"name": "rbac", "typed_config": {"@type": f"{TYPE}.rbac.v3.RBAC", "stat_prefix": "r", **config}},
        {"name": "echo", "typed_config": {"@type": f"{TYPE}.echo.v3.Echo"}},
    ]
    one_listener = {"name": "l", "address": address(), "filter_chains": [{"filters": chain}]}
    try:
        loaded = decode_bootstrap(
            {"static_resources": {"listeners": [one_listener]}}, extensions.types(), False, extensions.is_terminal
        )
        resources = loaded.bootstrap.static_resources
        assert resources is not None
        entry = resources.listeners[0].filter_chains[0].filters[0].typed_config
        assert entry is not None
        extension = extensions.filters.find(entry.type_name, ROOT, [])
        assert extension is not None

        class Context:
            """What rbac uses of a `FactoryContext`."""

            path = ROOT
            stats = StatsStore(lambda: 0.0)
        context: Any = Context()
        extension.build(entry.message, context)
    except ConfigError as error:
        return [f"{problem.path.replace(ROOT + '.', '')}: {problem.message}" for problem in error.problems]
    return []


def one(permission: Any = None, principal: Any = None) -> Json:
    policy = {"permissions": [ANY if permission is None else permission], "principals": [ANY if principal is None else principal]}
    return {"policies": {"p": policy}}


NO_HTTP = "rule,not supported by RBAC network filter"
PERMISSION = 'rules.policies["p"].permissions[0]'
PRINCIPAL = 'rules.policies["p"].principals[0]'


@pytest.mark.parametrize(
    "rules, problem",
    [
        (one({"header": {"name": "x"}}), f'{PERMISSION}.header: Found header({{"name": "x"}}) {NO_HTTP}'),
        (one(None, {"header": {"name": "x"}}), f'{PRINCIPAL}.header: Found header({{"name": "x"}}) {NO_HTTP}'),
        (one({"and_rules": {"rules": [{"not_rule": {"header": {"name": "x"}}}]}}),
         f'{PERMISSION}.and_rules.rules[0].not_rule.header: Found header({{"name": "x"}}) {NO_HTTP}'),
        (one(None, {"url_path": {"path": {"exact": "/"}}}),
         f'{PRINCIPAL}.url_path: Found header({{"path": {{"exact": "/"}}}}) {NO_HTTP}'),
        (one({"any": False}), f"{PERMISSION}.any: value must equal true"),
        (one({"destination_port": 65536}), f"{PERMISSION}.destination_port: expected an integer from 0 to 65535, found 65536"),
        (one({"destination_port_range": {"start": 2, "end": 2}}),
         f"{PERMISSION}.destination_port_range: range start 2 cannot be greater or equal than range end 2"),
        (one({"destination_port_range": {"start": -1, "end": 2}}),
         f"{PERMISSION}.destination_port_range.start: range start -1 is out of bounds"),
        (one({"destination_port_range": {"start": 1, "end": 65537}}),
         f"{PERMISSION}.destination_port_range.end: range end 65537 is out of bounds"),
        (one(None, {"remote_ip": {"address_prefix": "x", "prefix_len": 8}}),
         f"{PRINCIPAL}.remote_ip.address_prefix: malformed IP address: x"),
        (one({"requested_server_name": {"safe_regex": {"regex": "("}}}),
         f"{PERMISSION}.requested_server_name.safe_regex.regex: invalid regular expression: "
         "missing ): ("),
        ({"policies": {"p": {"permissions": [], "principals": [ANY]}}},
         'rules.policies["p"].permissions: expected at least 1 in the list, found 0'),
        (one({"matcher": {"name": "m", "typed_config": {"@type": f"{TYPE}.echo.v3.Echo"}}}),
         f"{PERMISSION}.matcher.typed_config: Didn't find a registered implementation for 'm' with type URL: "
         "'envoy.extensions.filters.network.echo.v3.Echo'"),
        ({"policies": {"p": {**one()["policies"]["p"], "condition": {"const_expr": {"bool_value": True}}}}},
         'rules.policies["p"].condition: `condition` is a field of Envoy\'s Policy that proxy_core does not support yet'),
        (one(None, {"custom": {"name": "x"}}),
         f"{PRINCIPAL}.custom: `custom` is a field of Envoy's Principal that proxy_core does not support yet"),
        ({"action": "ALOW"}, 'rules.action: expected one of ALLOW, DENY, LOG, found "ALOW"'),
    ],
)
def test_wrong_rules_are_refused_with_their_path_also_as_shadow_rules(extensions: Extensions, rules: Json, problem: str) -> None:
    assert problems(extensions, rules=rules) == [problem]
    assert problems(extensions, rules={}, shadow_rules=rules) == ["shadow_" + problem]


@pytest.mark.parametrize("name", ["matcher", "shadow_matcher"])
@pytest.mark.parametrize("value", [{}, {"matcher_list": {}}])
def test_match_trees_are_refused_even_empty_ones_because_these_deny_everybody(
    extensions: Extensions, name: str, value: Json
) -> None:
    text = f"{name}: `{name}` is a field of Envoy's RBAC that proxy_core does not support yet"
    assert problems(extensions, **{name: value}) == [text]


def test_a_filter_needs_a_stat_prefix_and_a_delay_that_is_not_negative(extensions: Extensions) -> None:
    assert problems(extensions, stat_prefix="") == ['stat_prefix: expected a string of at least 1 character, found ""']
    assert problems(extensions, delay_deny="-1s") == ['delay_deny: Invalid duration: Expected positive duration, found "-1s"']


def test_every_wrong_rule_is_told_at_once(extensions: Extensions) -> None:
    rules = {"policies": {"p": {"permissions": [{"any": False}, {"header": {"name": "x"}}], "principals": [{}]}}}
    found = problems(extensions, rules=rules)
    assert len(found) >= 2 and any("permissions[0].any" in one for one in found)


def test_a_good_configuration_of_everything_is_taken(extensions: Extensions) -> None:
    rules = {"action": "LOG", "policies": {"p": {"permissions": [{"not_rule": {"destination_port": 1}}], "principals": [ANY]}}}
    assert problems(
        extensions, rules=rules, shadow_rules={}, shadow_rules_stat_prefix="s", enforcement_type="CONTINUOUS", delay_deny="0s"
    ) == []


# -- behind a listener, before a server that speaks first --------------------------------------------------------------

@pytest.mark.parametrize("rules, allowed", [(EVERYBODY, True), (DENY, False)])
def test_a_denied_client_sees_nothing_of_a_server_that_speaks_first_which_is_not_even_dialled(rules: Json, allowed: bool) -> None:
    server = Server()
    guard = {"name": "rbac", "typed_config": {"@type": f"{TYPE}.rbac.v3.RBAC", "stat_prefix": "r", "rules": rules}}
    logs = [access_log("%CONNECTION_TERMINATION_DETAILS% %DOWNSTREAM_LOCAL_CLOSE_REASON% %RESPONSE_FLAGS% rx=%BYTES_RECEIVED%")]
    one_listener = listener(guard, network_filter("tcp_proxy", stat_prefix="t", cluster="c"), access_log=logs)
    engine = Engine(bootstrap([one_listener], [cluster(address(server.port))])).start()
    client = engine.client()
    if allowed:
        engine.accepted(server).send(b"banner")
        engine.until(lambda: bytes(client.got) == b"banner")
        assert engine.value("r.rbac.allowed") == 0
    else:
        engine.until(lambda: client.ended)
        assert not client.got and not client.was_reset and server.try_accept() is None
        assert engine.value("r.rbac.denied") == 1
    client.send(b"ping")
    client.finish()
    engine.turn(5)
    assert engine.value("cluster.c.upstream_cx_total") == int(allowed) == engine.value("r.rbac.allowed")
    if not allowed:
        engine.until(lambda: not engine.live)
        assert engine.lines == [f"NotSet {DETAILS} rbac_deny_close - rx=4"]
    assert not engine.errors
    engine.close()
    server.close()
