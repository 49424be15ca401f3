"""Secrets by name, with users that only write down what they were told."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Callable, List

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.fields import TypeRegistry
from proxy_core.config.model.secret import SdsSecretConfig, Secret
from proxy_core.errors import ConfigError, Problem
from proxy_core.event.file_watch import FileWatcher
from proxy_core.event.reactor import Reactor
from proxy_core.observe.stats import StatsStore
from proxy_core.testing.clock import SimulatedClock
from proxy_core.xds.secrets import CERTIFICATE, VALIDATION, SecretManager

TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


class User:
    """Takes every secret unless it is told to refuse."""

    def __init__(self) -> None:
        self.prepared: List[str] = []
        self.in_force: List[str] = []
        self.refuses = False

    def prepare(self, secret: Secret, path: str) -> Callable[[], None]:
        if self.refuses:
            raise ConfigError([Problem(path, "no")])
        assert secret.tls_certificate is not None and secret.tls_certificate.certificate_chain is not None
        text = secret.tls_certificate.certificate_chain.read().decode()
        self.prepared.append(text)
        return lambda: self.in_force.append(text)


class Bench:
    """A manager with its reactor, clock and one file."""

    def __init__(self, file: Path, *static: Secret) -> None:
        self.clock = SimulatedClock()
        self.errors: List[Exception] = []
        self.reactor = Reactor(self.clock, report=self.errors.append)
        self.stats = StatsStore(self.clock)
        self.file = file
        watcher = FileWatcher(self.reactor, wall_clock=self.clock)
        self.manager = SecretManager(static, TypeRegistry(), self.stats, self.reactor, watcher, self.clock)

    def write(self, text: str) -> None:
        """A new version of the secret "s", and time for it to be noticed."""
        secret = {"@type": TYPE, "name": "s", "tls_certificate": {"certificate_chain": {"inline_string": text}}}
        self.file.write_text(json.dumps({"resources": [secret], "version_info": text}))
        self.clock.advance(0.3)
        self.reactor.turn(0)
        self.reactor.turn(0)
        assert self.errors == []

    def use(self, user: User) -> object:
        source = {"path_config_source": {"path": str(self.file)}}
        config = decode(SdsSecretConfig, {"name": "s", "sds_config": source}, TypeRegistry())
        return self.manager.use(config, CERTIFICATE, "here", user)

    def count(self, name: str) -> int:
        stat = self.stats.find(f"sds.s.{name}")
        assert stat is not None
        return int(stat.value)  # type: ignore[union-attr]  # counters only


def static(name: str, **fields: object) -> Secret:
    return decode(Secret, {"name": name, **(fields or {"tls_certificate": {}})}, TypeRegistry())


def test_one_file_serves_all_who_ask_for_it_and_is_let_go_with_the_last(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "s.json")
    bench.write("one")
    users = [User(), User()]
    uses = [bench.use(user) for user in users]
    assert [user.in_force for user in users] == [["one"], ["one"]]
    assert bench.count("update_attempt") == 1
    bench.write("two")
    assert [user.in_force for user in users] == [["one", "two"], ["one", "two"]]
    assert bench.manager.to_json()["dynamic_active_secrets"][0]["version_info"] == "two"
    uses.clear()
    gc.collect()
    bench.write("three")
    assert bench.count("update_attempt") == 2
    assert bench.manager.to_json()["dynamic_active_secrets"] == []
    assert len(bench.reactor.timers) == 0


def test_when_one_user_refuses_a_new_secret_nobody_changes(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "s.json")
    bench.write("one")
    users = [User(), User()]
    uses = [bench.use(user) for user in users]
    users[1].refuses = True
    bench.write("two")
    assert [user.in_force for user in users] == [["one"], ["one"]]
    assert bench.count("update_rejected") == 1
    users[1].refuses = False
    bench.write("three")
    assert [user.in_force for user in users] == [["one", "three"], ["one", "three"]]
    assert len(uses) == 2


def test_a_user_that_is_gone_is_not_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "s.json")
    bench.write("one")
    user, stays = User(), User()
    kept = [bench.use(user), bench.use(stays)]
    seen = user.in_force
    del user
    bench.write("two")
    assert (seen, stays.in_force, len(kept)) == (["one"], ["one", "two"], 2)


def test_a_secret_may_come_later_and_is_waiting_until_then(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "s.json")
    bench.file.write_text("")
    user = User()
    use = bench.use(user)
    assert bench.manager.to_json()["dynamic_warming_secrets"] == [{"name": "s"}]
    bench.write("one")
    assert user.in_force == ["one"] and use is not None


def test_the_same_name_twice_is_a_problem_unless_the_kinds_differ(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "s.json", static("a"), static("a", validation_context={}), static("a"))
    problem, = bench.manager.problems
    assert (problem.path, problem.message) == (
        "static_resources.secrets[2].name", "Duplicate static TlsCertificate secret name a",
    )


@pytest.mark.parametrize("name, kind", [("a", VALIDATION), ("b", CERTIFICATE)])
def test_static_secrets_are_found_by_name_and_kind(tmp_path: Path, name: str, kind: str) -> None:
    bench = Bench(tmp_path / "s.json", static("a", tls_certificate={"certificate_chain": {"inline_string": "x"}}))
    user = User()
    config = decode(SdsSecretConfig, {"name": name}, TypeRegistry())
    with pytest.raises(ConfigError, match="Unknown static"):
        bench.manager.use(config, kind, "here", user)
    bench.manager.use(decode(SdsSecretConfig, {"name": "a"}, TypeRegistry()), CERTIFICATE, "here", user)
    assert user.in_force == ["x"]
