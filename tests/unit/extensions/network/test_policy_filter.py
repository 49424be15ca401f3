"""What policy filters share: they stay out of the way of bytes, and are gone with their connection."""

from __future__ import annotations

import gc
import weakref

from proxy_core.extensions.network.policy import PolicyFilter
from proxy_core.filters.api import NetworkFilter
from proxy_core.testing.recording import RecordingFilter
from tests.support.filters import FilterRig


class Watched(NetworkFilter):
    """Keeps its callbacks, as most filters do; a weak reference tells when it is gone."""

    name = "watched"


def test_a_policy_filter_lets_the_first_bytes_pass_and_then_is_not_asked_any_more() -> None:
    rig = FilterRig()
    last = RecordingFilter("last")
    rig.add(PolicyFilter(), PolicyFilter(), last).start()
    assert rig.connection.read_chain.lone is None
    rig.peer.send(b"hello")
    rig.turn()
    assert rig.connection.read_chain.lone is last and bytes(last.data) == b"hello"


def test_one_filter_that_inspects_keeps_bytes_on_the_long_way_wherever_it_stands() -> None:
    for place in range(3):
        rig = FilterRig()
        filters = [PolicyFilter(), PolicyFilter()]
        filters.insert(place, Watched())  # type: ignore[arg-type]  # both are filters
        rig.add(*filters, RecordingFilter("last")).start()
        rig.peer.send(b"hello")
        rig.turn()
        assert rig.connection.read_chain.lone is None


def test_a_refusal_closes_with_its_details_and_the_setting_behind_it() -> None:
    rig = FilterRig()
    one = PolicyFilter()
    rig.add(one, RecordingFilter("last")).start()
    one.refuse("over_the_limit", "limit 3")
    assert rig.closed and rig.connection.local_close_details == "over_the_limit" and rig.reason.endswith("(limit 3)")


def test_the_filters_of_a_closed_connection_are_freed_without_the_garbage_collector() -> None:
    rig = FilterRig()
    one = Watched()
    gone = weakref.ref(one)
    rig.add(one, RecordingFilter("last")).start()
    del one
    gc.disable()
    try:
        rig.peer.reset()
        rig.turn(2)
        assert rig.closed and gone() is None
    finally:
        gc.enable()
