"""/config_dump of route tables: those of the configuration and those that are discovered, as Envoy 1.40.0 prints them."""

from __future__ import annotations

from pathlib import Path

from proxy_core.config.model.config_source import ConfigSource, PathConfigSource
from proxy_core.config.model.route import RouteConfiguration, VirtualHost
from proxy_core.http.routing.hosts import HostMap
from proxy_core.http.routing.table import Table
from tests.unit.admin.admin_kit import AdminRig

TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
UPDATED = "2027-01-15T08:00:00.250Z"
DUMP = "type.googleapis.com/envoy.admin.v3."


def empty_table(config: RouteConfiguration, path: str = "") -> Table:
    return Table(config, HostMap())


def test_there_is_no_section_without_a_connection_manager(rig: AdminRig) -> None:
    types = [section["@type"].rpartition(".")[2] for section in rig.json("/config_dump")["configs"]]
    assert types == ["BootstrapConfigDump", "ClustersConfigDump", "ListenersConfigDump", "SecretsConfigDump"]


def test_written_and_discovered_tables_are_printed_apart(rig: AdminRig, tmp_path: Path) -> None:
    configs = rig.server.route_configs
    written = RouteConfiguration(name="s", virtual_hosts=[VirtualHost(name="v", domains=["*"])])
    static = configs.static(written, empty_table(written))
    file = tmp_path / "rds.json"
    file.write_text('{"version_info": "7", "resources": [{"@type": "' + TYPE + '", "name": "r1"}]}')
    source = ConfigSource(path_config_source=PathConfigSource(str(file)))
    dynamic = configs.dynamic(source, "r1", rig.server.stats.scope("http.w"), empty_table, "p")
    unanswered = configs.dynamic(source, "r2", rig.server.stats.scope("http.w"), empty_table, "p")
    configs.start()
    assert (static.table, dynamic.table is not None, unanswered.table) == (static.table, True, None)
    _, _, _, scoped, routes, secrets = rig.json("/config_dump")["configs"]
    assert scoped == {"@type": f"{DUMP}ScopedRoutesConfigDump"} and secrets["@type"] == f"{DUMP}SecretsConfigDump"
    assert routes == {
        "@type": f"{DUMP}RoutesConfigDump",
        "static_route_configs": [{
            "route_config": {"@type": TYPE, "name": "s", "virtual_hosts": [{"name": "v", "domains": ["*"]}]},
            "last_updated": UPDATED,
        }],
        "dynamic_route_configs": [
            {"version_info": "7", "route_config": {"@type": TYPE, "name": "r1"}, "last_updated": UPDATED},
        ],
    }
    assert rig.json("/config_dump?resource=dynamic_route_configs&mask=route_config.name")["configs"] == [
        {"@type": f"{DUMP}RoutesConfigDump.DynamicRouteConfig", "route_config": {"@type": TYPE, "name": "r1"}},
    ]
    assert "dynamic_route_configs" not in rig.json("/config_dump?name_regex=s")["configs"][4]
