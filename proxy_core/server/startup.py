"""What a server says, and writes for others, once it listens: the log's first lines, the admin's address.

Mirrors the start-up lines of `InstanceBase`. Every limit that holds is named with its source, because a limit
nobody knows of is found out in an incident.
"""

from __future__ import annotations

import os

from ..admin.process import HOT_RESTART_VERSION as HOT_RESTART_VERSION
from ..admin.process import version_text as version_text
from ..listener.listener import Listener
from ..observe.log import component_logger
from .options import Options
from .server import Server


def announce(server: Server) -> None:
    """Log what runs, where, and within which limits; write the files that the options ask for."""
    options = server.options
    main, config = component_logger("main"), component_logger("config")
    main.info("%s, process %d, 1 worker", version_text(), os.getpid())
    limit = server.process_limit
    main.info("downstream connection limit: %d (%s)", limit.limit, limit.source)
    for problem in server.loaded.warnings:
        config.warning("%s", problem)
    if options.restart_epoch:
        main.warning("--restart-epoch %d: there is no hot restart", options.restart_epoch)
    clusters = server.clusters.clusters()
    hosts = sum(len(cluster.hosts) for cluster in clusters)
    config.info("%d cluster(s) with %d host(s)", len(clusters), hosts)
    for listener in server.listeners.listeners:
        config.info("listener '%s' on %s", listener.name, bound_text(listener))
    if server.admin is not None:
        component_logger("admin").info("admin address: %s", bound_text(server.admin))
    write_files(server, options)
    main.info("starting main dispatch loop")


def bound_text(listener: Listener) -> str:
    """Where a listener listens, with real ports."""
    if not listener.sockets.all():
        return "no address (bind_to_port is false)"
    return ", ".join(address.text for address in listener.local_addresses())


def write_files(server: Server, options: Options) -> None:
    """--admin-address-path, --base-id-path. One that can't be written is an error line, as in Envoy."""
    if options.base_id_path:
        _write(options.base_id_path, "0", "base id")
    if not options.admin_address_path:
        return
    if server.admin is None:
        component_logger("admin").warning("--admin-address-path: the configuration has no admin")
        return
    _write(options.admin_address_path, server.admin.local_addresses()[0].text, "admin address")


def _write(path: str, text: str, what: str) -> None:
    """In one step where the path is a file, so that nobody reads half of it."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="ascii") as device:
                device.write(text)
            return
        target = os.path.realpath(path)
        unfinished = f"{target}.{os.getpid()}"
        with open(unfinished, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(unfinished, target)
    except OSError as error:
        text = "cannot open %s output file %s for writing: %s"
        component_logger("main").error(text, what, path, error.strerror)
