"""Secrets by name: static ones, and those that a watched file delivers and replaces under way."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from proxy_core.errors import ConfigError
from proxy_core.observe.x509 import Certificate
from tests.support.engine import Engine, Json, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import Server
from tests.support.tls_end import (
    CERTS, SECRET_TYPE, TlsPeer, client_context, data_source, server_context, tls_certificate, transport_socket, upstream_socket,
)

S = "listener.127.0.0.1_0."
CHAIN = "static_resources.listeners[0].filter_chains[0].transport_socket.typed_config"
NewEngine = Callable[..., Engine]


@pytest.fixture
def new_engine() -> Iterator[NewEngine]:
    made: List[Engine] = []

    def make(tls: Json, secrets: Any = (), clusters: Any = (), *filters: Json) -> Engine:
        log = access_log("%DOWNSTREAM_TRANSPORT_FAILURE_REASON%")
        one = listener(*(filters or (network_filter("echo"),)), access_log=[log])
        if tls:
            one["filter_chains"][0]["transport_socket"] = tls
        config = bootstrap([one], clusters)
        config["static_resources"]["secrets"] = list(secrets)
        engine = Engine(config)
        made.append(engine)
        return engine.start()
    yield make
    for engine in made:
        assert engine.errors == []
        engine.close()


def file_of(path: Path, *secrets: Json, version: str = "1") -> None:
    """Replace the file, as whoever delivers secrets should."""
    resources = [{"@type": SECRET_TYPE, **secret} for secret in secrets]
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"version_info": version, "resources": resources}))
    fresh.replace(path)


def certificate(name: str, of: str = "server") -> Json:
    return {"name": name, "tls_certificate": tls_certificate(of)}


def roots(name: str, of: str = "ca") -> Json:
    return {"name": name, "validation_context": {"trusted_ca": data_source(f"{of}.crt")}}


def by_file(name: str, path: Path) -> Json:
    return {"name": name, "sds_config": {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}}


def server_with(*secrets: Json, **common: Any) -> Json:
    """A downstream TLS transport socket whose certificates are secrets."""
    tls = transport_socket()
    context = tls["typed_config"]["common_tls_context"]
    del context["tls_certificates"]
    context["tls_certificate_sds_secret_configs"] = list(secrets)
    context.update(common)
    return tls


def poll(engine: Engine) -> None:
    """The watcher's next look at its files."""
    engine.advance(0.3)


def shaken(engine: Engine, **context: Any) -> TlsPeer:
    client = TlsPeer(engine.client(), client_context(**context))
    engine.peers[-1] = client
    engine.until(lambda: client.tls.shaken)
    return client


def shown(client: TlsPeer) -> str:
    """The common name of the certificate that the client saw."""
    return Certificate(client.tls.session.getpeercert(binary_form=True) or b"").common_name


# -- static ------------------------------------------------------------------------------------------------------------

def test_a_static_secret_is_a_certificate(new_engine: NewEngine) -> None:
    engine = new_engine(server_with({"name": "front"}), [certificate("other"), certificate("front", "alpha")])
    assert shown(shaken(engine)) == "alpha.test"
    assert engine.stats.find(S + "ssl.certificate.front.expiration_unix_time_seconds") is not None


@pytest.mark.parametrize("tls, secrets, path, text", [
    (server_with({"name": "nope"}), [], f"{CHAIN}.common_tls_context.tls_certificate_sds_secret_configs[0].name",
     "Unknown static secret: nope"),
    (server_with({"name": "ca"}), [roots("ca")], f"{CHAIN}.common_tls_context.tls_certificate_sds_secret_configs[0].name",
     "Unknown static secret: ca"),
    (transport_socket(common={"validation_context_sds_secret_config": {"name": "ca"}}), [],
     f"{CHAIN}.common_tls_context.validation_context_sds_secret_config.name",
     "Unknown static certificate validation context: ca"),
    (server_with({"name": "bad"}),
     [{"name": "bad", "tls_certificate": {**tls_certificate("server"), "private_key": data_source("alpha.key")}}],
     "static_resources.secrets[0].tls_certificate.private_key", "it is not the certificate's key"),
    (server_with({"name": "f", "sds_config": {"path_config_source": {"path": "/nonexistent/sds.json"}}}), [],
     f"{CHAIN}.common_tls_context.tls_certificate_sds_secret_configs[0].sds_config.path_config_source.path",
     "paths must refer to an existing path"),
])
def test_what_cannot_work_is_refused_with_its_path(
    new_engine: NewEngine, tls: Json, secrets: List[Json], path: str, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        new_engine(tls, secrets)
    problem, = caught.value.problems
    assert problem.path == path and text in problem.message


# -- from a file -------------------------------------------------------------------------------------------------------

def test_a_new_certificate_is_for_new_connections_and_the_old_ones_go_on(new_engine: NewEngine, tmp_path: Path) -> None:
    file = tmp_path / "sds.json"
    file_of(file, certificate("front"))
    engine = new_engine(server_with(by_file("front", file)))
    old = shaken(engine)
    assert shown(old) == "server.test"
    file_of(file, certificate("front", "alpha"))
    poll(engine)
    assert shown(shaken(engine)) == "alpha.test"
    old.say(b"still here")
    engine.until(lambda: old.heard == b"still here")
    assert engine.value("sds.front.update_success") == engine.value("sds.front.update_attempt") == 2
    assert engine.value(S + "server_ssl_socket_factory.ssl_context_update_by_sds") == 2
    assert engine.value("sds.front.version") == 13237225503670494420  # as Envoy shows "1"
    entries = engine.context.certificates.to_json(engine.clock())
    assert [one["path"] for one in entries[-1]["cert_chain"]] == ["<inline>"]


@pytest.mark.parametrize("content, stat", [
    ("", "update_failure"), ("garbage", "update_failure"), ('{"resources": 5}', "update_failure"),
    ('{"resources": []}', "update_rejected"),
    (json.dumps({"resources": [{"@type": SECRET_TYPE, **certificate("other")}]}), "update_rejected"),
    (json.dumps({"resources": [{"@type": SECRET_TYPE, **roots("front")}]}), "update_rejected"),
    (json.dumps({"resources": [{"@type": SECRET_TYPE, **certificate("front")}] * 2}), "update_rejected"),
    (json.dumps({"resources": [{"@type": SECRET_TYPE, **certificate("front", "nobody")}]}), "update_rejected"),
    (json.dumps({"resources": [{"@type": SECRET_TYPE, "name": "front", "tls_certificate":
                                {**tls_certificate("server"), "private_key": data_source("alpha.key")}}]}), "update_rejected"),
])
def test_an_update_that_cannot_be_used_leaves_the_old_certificate_in_force(
    new_engine: NewEngine, tmp_path: Path, content: str, stat: str
) -> None:
    file = tmp_path / "sds.json"
    file_of(file, certificate("front"))
    engine = new_engine(server_with(by_file("front", file)))
    file.write_text(content)
    poll(engine)
    assert engine.value(f"sds.front.{stat}") == 1
    assert engine.value("sds.front.update_success") == 1
    assert shown(shaken(engine)) == "server.test"
    file_of(file, certificate("front", "alpha"))
    poll(engine)
    assert shown(shaken(engine)) == "alpha.test"


@pytest.mark.parametrize("content", ["", '{"resources": []}'])
def test_without_its_certificate_a_listener_turns_everybody_away_until_it_comes(
    new_engine: NewEngine, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "sds.json"
    file.write_text(content)
    engine = new_engine(server_with(by_file("front", file)))
    client = TlsPeer(engine.client(), client_context())
    engine.peers[-1] = client
    engine.until(lambda: client.over and engine.lines)
    assert not client.tls.shaken
    assert engine.value(S + "server_ssl_socket_factory.downstream_context_secrets_not_ready") == 1
    assert engine.lines == ["NotSet TLS_error:_Secret_is_not_supplied_by_SDS"]
    file_of(file, certificate("front"))
    poll(engine)
    assert shown(shaken(engine)) == "server.test"


def test_files_that_a_secret_names_are_read_again_when_they_change(new_engine: NewEngine, tmp_path: Path) -> None:
    for kind in ("crt", "key"):
        shutil.copy(CERTS / f"server.{kind}", tmp_path / f"own.{kind}")
    own = {name: {"filename": str(tmp_path / f"own.{kind}")} for name, kind in (("certificate_chain", "crt"), ("private_key", "key"))}
    file = tmp_path / "sds.json"
    file_of(file, {"name": "front", "tls_certificate": own})
    engine = new_engine(server_with(by_file("front", file)))
    shutil.copy(CERTS / "alpha.crt", tmp_path / "own.crt")
    poll(engine)
    assert engine.value("sds.front.key_rotation_failed") == 1  # the key has not come yet
    assert shown(shaken(engine)) == "server.test"
    shutil.copy(CERTS / "alpha.key", tmp_path / "own.key")
    poll(engine)
    assert shown(shaken(engine)) == "alpha.test"
    assert engine.value("sds.front.update_attempt") == 1


def test_a_link_that_is_moved_to_another_directory_is_a_change(new_engine: NewEngine, tmp_path: Path) -> None:
    """As Kubernetes delivers secrets."""
    for name, of in (("one", "server"), ("two", "alpha")):
        (tmp_path / name).mkdir()
        file_of(tmp_path / name / "sds.json", certificate("front", of))
    (tmp_path / "data").symlink_to("one")
    engine = new_engine(server_with(by_file("front", tmp_path / "data" / "sds.json")))
    (tmp_path / "fresh").symlink_to("two")
    (tmp_path / "fresh").replace(tmp_path / "data")
    poll(engine)
    assert shown(shaken(engine)) == "alpha.test"


def test_whom_to_trust_can_change(new_engine: NewEngine, tmp_path: Path) -> None:
    file = tmp_path / "sds.json"
    file_of(file, roots("roots", "other_ca"))
    combined = {
        "default_validation_context": {"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"prefix": "client"}}]},
        "validation_context_sds_secret_config": by_file("roots", file),
    }
    engine = new_engine(transport_socket(common={"combined_validation_context": combined}))

    def gets_in(name: str) -> bool:
        client = TlsPeer(engine.client(), client_context(certificate=name))
        engine.peers[-1] = client
        client.say(b"x")
        engine.until(lambda: client.heard == b"x" or client.over)
        return client.heard == b"x"
    assert gets_in("stranger") and not gets_in("client")
    file_of(file, roots("roots"))
    poll(engine)
    assert gets_in("client") and not gets_in("stranger")
    assert not gets_in("alpha")  # trusted now, but the name is not the one in the default context


def test_an_upstream_context_follows_its_secret(new_engine: NewEngine, tmp_path: Path) -> None:
    file = tmp_path / "sds.json"
    file_of(file, roots("roots", "other_ca"))
    backend = Server()
    tls = upstream_socket(common={"validation_context_sds_secret_config": by_file("roots", file)})
    proxy = network_filter("tcp_proxy", stat_prefix="t", cluster="c")
    engine = new_engine({}, (), [cluster(address(backend.port), transport_socket=tls)], proxy)
    for good in (False, True):
        client = engine.client()
        server = TlsPeer(engine.accepted(backend), server_context(), server_side=True)
        engine.peers[-1] = server
        server.say(b"hello")
        engine.until(lambda: client.over or bytes(client.got) == b"hello")
        assert (bytes(client.got) == b"hello") == good
        file_of(file, roots("roots"))
        poll(engine)
    assert engine.value("cluster.c.ssl.fail_verify_error") == 1
    backend.close()


def test_an_upstream_context_without_its_secret_refuses_to_connect(new_engine: NewEngine, tmp_path: Path) -> None:
    file = tmp_path / "sds.json"
    file.write_text("{}")
    backend = Server()
    tls = upstream_socket(common={"validation_context_sds_secret_config": by_file("roots", file)})
    proxy = network_filter("tcp_proxy", stat_prefix="t", cluster="c")
    engine = new_engine({}, (), [cluster(address(backend.port), transport_socket=tls)], proxy)
    client = engine.client()
    engine.until(lambda: client.over)
    assert engine.value("cluster.c.client_ssl_socket_factory.upstream_context_secrets_not_ready") == 1
    assert engine.value("cluster.c.upstream_cx_connect_fail") == 1
    backend.close()


def test_a_dump_names_secrets_and_hides_what_is_private(new_engine: NewEngine, tmp_path: Path) -> None:
    file = tmp_path / "sds.json"
    file_of(file, certificate("front"))
    engine = new_engine(server_with(by_file("front", file)), [certificate("spare"), roots("roots")])
    dump = engine.context.secrets.to_json()
    assert [one["name"] for one in dump["static_secrets"]] == ["spare", "roots"]
    assert [one["name"] for one in dump["dynamic_active_secrets"]] == ["front"]
    text = json.dumps(dump)
    assert "server.key" not in text and text.count("[redacted]") == 1
    assert "PRIVATE KEY" not in base64.b64decode(
        dump["dynamic_active_secrets"][0]["secret"]["tls_certificate"]["private_key"]["inline_bytes"]
    ).decode()
