"""The configuration of fault filters, and changes of them: checked as a whole, made as a whole."""

from __future__ import annotations

from typing import Any, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.fields import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.extensions.network.fault.config import Fault
from proxy_core.testing import RecordingFilter
from tests.unit.extensions.network.fault.fault_kit import DOWN, UP, Faulty, Json, change, point, toxic


def problems(config: Json) -> List[str]:
    with pytest.raises(ConfigError) as error:
        decode(Fault, config, TypeRegistry())
    return [str(problem) for problem in error.value.problems]


def refused(faults: Any, *changes: Json) -> List[str]:
    before = faults.to_json()
    with pytest.raises(ConfigError) as error:
        change(faults, *changes)
    assert faults.to_json() == before
    return [str(problem) for problem in error.value.problems]


def test_a_toxic_has_toxiproxys_defaults_and_prints_all_of_its_values() -> None:
    assert point({"type": "latency"}).to_json()["toxics"] == [{
        "name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1.0,
        "attributes": {"latency": 0, "jitter": 0},
    }]


@pytest.mark.parametrize(("bad", "words"), [
    ({"type": "lag"}, "toxics[0].type: there is no toxic 'lag'"),
    ({"type": "latancy"}, "did you mean `latency`?"),
    ({"type": "down"}, 'write "enabled": false'),
    ({}, "toxics[0].type: `type` is required"),
    ({"type": "latency", "stream": "sideways"}, "toxics[0].stream: expected upstream or downstream"),
    ({"type": "latency", "toxicity": 1.5}, "toxics[0].toxicity: expected a number of at least 0 and at most 1"),
    ({"type": "latency", "attributes": {"latncy": 5}}, "toxics[0].attributes.latncy: unknown field `latncy`"),
    ({"type": "latency", "attributes": {"latency": -5}}, "toxics[0].attributes.latency: expected an integer"),
    ({"type": "latency", "attributes": {"latency": "1s"}}, "toxics[0].attributes.latency: expected an integer"),
    ({"type": "slicer"}, "toxics[0].attributes.average_size: `average_size` is required"),
    ({"type": "slicer", "attributes": {"average_size": 5, "size_variation": 5}},
     "toxics[0].attributes.size_variation: must be less than `average_size`"),
    ({"type": "timeout", "attributes": []}, "toxics[0].attributes: expected an object"),
])
def test_a_bad_toxic_is_refused_with_the_place_and_the_reason(bad: Json, words: str) -> None:
    found = problems({"name": "f", "toxics": [bad]})
    assert len(found) == 1 and words in found[0], found


def test_a_filter_needs_a_name_and_its_toxics_different_ones() -> None:
    assert "`name` is required" in problems({})[0]
    found = problems({"name": "f", "toxics": [{"type": "latency"}, {"type": "timeout", "name": "latency_downstream"}]})
    assert found == ["toxics[1].name: `toxics[0]` is named 'latency_downstream' as well"]


def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    faults = point(toxic("latency", UP, latency=100, jitter=20))
    change(faults, {"update": [{"name": "latency_upstream", "attributes": {"latency": 7}}]})
    only, = faults.to_json()["toxics"]
    assert only["attributes"] == {"latency": 7, "jitter": 20} and only["toxicity"] == 1.0
    change(faults, {"update": [{"name": "latency_upstream", "toxicity": 0.25}]})
    only, = faults.to_json()["toxics"]
    assert only["attributes"] == {"latency": 7, "jitter": 20} and only["toxicity"] == 0.25


def test_changes_of_one_request_see_each_other() -> None:
    faults = point(toxic("latency", UP, latency=1))
    change(
        faults, {"remove": ["latency_upstream"]}, {"add": [toxic("latency", UP, latency=2)]},
        {"update": [{"name": "latency_upstream", "attributes": {"jitter": 1}}], "add": [{"type": "timeout"}]},
    )
    first, second = faults.to_json()["toxics"]
    assert first["attributes"] == {"latency": 2, "jitter": 1} and second["name"] == "timeout_downstream"


@pytest.mark.parametrize(("bad", "words"), [
    ({"remove": ["other"]}, "[1].remove[0]: 'f' has no toxic 'other'; it has latency_upstream"),
    ({"update": [{"name": "other"}]}, "[1].update[0]: 'f' has no toxic 'other'"),
    ({"update": [{"name": "latency_upstream", "attributes": {"late": 1}}]}, "[1].update[0].attributes.late: unknown field"),
    ({"add": [{"type": "latency", "stream": "upstream"}]}, "[1].add[0]: 'f' has a toxic 'latency_upstream' already"),
    ({"add": {"type": "latency"}}, "[1].add: expected a list"),
    ({"delete": ["latency_upstream"]}, "[1].delete: unknown field `delete`"),
    ({"seed": -1}, "[1].seed: expected an integer"),
])
def test_a_change_with_a_mistake_changes_nothing_not_even_what_stands_before_it(bad: Json, words: str) -> None:
    faults = point(toxic("latency", UP, latency=1))
    found = refused(faults, {"add": [{"type": "timeout"}], "seed": 5}, bad)
    assert any(words in one for one in found), found


def test_a_service_that_is_down_resets_its_connections_and_lets_nobody_in() -> None:
    faults = point()
    with Faulty(faults) as harness:
        harness.feed(b"before")
        harness.change({"enabled": False})
        harness.assert_closed("fault_down", by="local", how="RST")
        assert harness.peer.was_reset
    with Faulty(faults) as late:
        late.assert_closed("fault_down")
    change(faults, {"enabled": True})
    with Faulty(faults) as again:
        again.feed(b"after")
        assert again.onward == b"after"


def test_a_reset_enables_removes_all_toxics_and_numbers_connections_from_the_start() -> None:
    faults = point(toxic("latency", UP, toxicity=0.5, latency=1000), seed=3)

    def draws() -> List[bool]:
        found = []
        for _ in range(30):
            harness = Faulty(faults)
            harness.feed(b"x")
            found.append(not harness.onward)
        return found
    first = draws()
    assert draws() != first
    change(faults, {"reset": True}, {"add": [toxic("latency", UP, toxicity=0.5, latency=1000)]})
    assert draws() == first
    change(faults, {"seed": 3})
    assert draws() == first
    change(faults, {"enabled": False})
    change(faults, {"reset": True})
    assert faults.enabled and faults.toxics == ()


def test_connections_are_counted_while_they_live() -> None:
    faults = point()
    one, two = Faulty(faults), Faulty(faults)
    assert faults.to_json()["connections"] == 2
    one.reset()
    assert faults.to_json()["connections"] == 1
    two.close()
    assert faults.to_json()["connections"] == 0


def test_an_exception_behind_one_connection_does_not_keep_a_change_from_the_others() -> None:
    faults = point(toxic("latency", UP, latency=1000))
    bad = RecordingFilter("bad")

    def fail(data: Any, end: bool) -> None:
        raise ValueError("of a filter behind")
    bad.on_data_do = fail
    first, second = Faulty(faults, behind=[bad]), Faulty(faults)
    first.feed(b"x")
    second.feed(b"y")
    change(faults, {"remove": ["latency_upstream"]})
    assert second.onward == b"y"
    error, = faults._reactor.contained
    assert "of a filter behind" in str(error)


def test_a_downstream_toxic_of_the_same_type_has_another_name() -> None:
    names = [one["name"] for one in point({"type": "latency"}, {"type": "latency", "stream": UP}).to_json()["toxics"]]
    assert names == [f"latency_{DOWN}", f"latency_{UP}"]
