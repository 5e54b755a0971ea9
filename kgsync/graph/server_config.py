"""What a managed server starts with: its password, neo4j.conf and Java's arguments, made from its settings.

Promises a server that only this machine can reach, that never runs with a known password, that reports
nothing to anyone, and whose memory and transaction logs have a bound.
"""

from __future__ import annotations

import hashlib
import random
import re
import secrets
import socket
from collections.abc import Collection
from pathlib import Path

import psutil

from kgsync import files
from kgsync.errors import ConfigError, UnavailableError
from kgsync.graph.server_files import Settings

HOST = "127.0.0.1"
USERNAME = "neo4j"
DATABASE = "neo4j"
OWN = "own.conf"  # in the instance's folder: lines for neo4j.conf that a person adds

_PORTS = {"bolt": 7687, "http": 7474}  # Neo4j's own, where its tools look first
_MB = 1 << 20
_LEAST_MEMORY = 512 * _MB
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def parse_memory(text: str) -> int:
    """Return the bytes that `512M` or `2G` means.

    Raises:
        ConfigError: it is no such size, less than 512M, or more than the machine has.
    """
    match = re.fullmatch(r"(\d+)([mg])b?", text.strip().lower())
    size = int(match[1]) * {"m": _MB, "g": 1024 * _MB}[match[2]] if match else 0
    if not _LEAST_MEMORY <= size <= _machine_memory():
        raise ConfigError(
            f"{text!r} is no memory size for Neo4j on this machine",
            fix=f"give a size from 512M to {_machine_memory() // _MB}M, for example 2G",
        )
    return size


def default_memory() -> int:
    """Return an eighth of the machine's memory, from 768 MB to 3 GB: the learner needs room beside it."""
    return min(max(_machine_memory() // 8, 768 * _MB), 3072 * _MB)


def _machine_memory() -> int:
    total: int = psutil.virtual_memory().total
    for path in _CGROUP_LIMITS:  # a container may have less than its machine
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total


def choose_port(kind: str, remembered: int, avoid: Collection[int]) -> int:
    """Return the remembered port (0: none) if it is free, else Neo4j's own, else some free one near it."""
    if remembered and is_free(remembered):
        return remembered
    own = _PORTS[kind]
    near = random.sample(range(own + 1, own + 2000), 50)  # random, so that two starts at once do not meet
    for port in [own, *near]:
        if port not in avoid and is_free(port):
            return port
    raise UnavailableError(f"found no free port near {own}", fix="stop something that listens there, and try again")


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port` of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java: a closing connection may pass
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def write_password(home: Path) -> None:
    """Make the password of an instance that has no data yet, and lay its hash where the first start reads it.

    Neo4j's own `set-initial-password` takes it as an argument, where every process list shows it; setting
    it over Bolt after the start leaves a moment with the well-known one. This file is what the command writes.
    """
    initial = _initial_password(home)
    if (home / "data" / "databases").exists() and not initial.exists():
        return  # the first start was completed, and took it
    path = home / "password"
    if not path.exists():
        files.write_bytes(path, f"{secrets.token_urlsafe(24)}\n".encode(), mode=0o600)
    salt = secrets.token_bytes(32)
    digest = salt + path.read_bytes().strip()
    for _ in range(1024):
        digest = hashlib.sha256(digest).digest()
    line = f"{USERNAME}:SHA-256,{digest.hex()},{salt.hex()},1024:\n"
    files.write_bytes(initial, line.encode(), mode=0o600)


def forget_initial_password(home: Path) -> None:
    """Remove the hash once the server has taken it."""
    _initial_password(home).unlink(missing_ok=True)


def _initial_password(home: Path) -> Path:
    return home / "data" / "dbms" / "auth.ini"


def write_arguments(home: Path, settings: Settings, classpath: list[Path]) -> Path:
    """Write `conf/neo4j.conf` and the file for `java @FILE`, and return that."""
    _write_conf(home, settings)
    return _write_java_arguments(home, settings, classpath)


def _write_conf(home: Path, settings: Settings) -> None:
    memory = settings.memory or default_memory()
    lines = {
        "server.default_listen_address": HOST,
        "server.default_advertised_address": HOST,
        "server.bolt.listen_address": f"{HOST}:{settings.bolt_port}",
        "server.bolt.advertised_address": f"{HOST}:{settings.bolt_port}",
        "server.http.listen_address": f"{HOST}:{settings.http_port}",
        "server.http.advertised_address": f"{HOST}:{settings.http_port}",
        "server.https.enabled": "false",
        "dbms.security.auth_enabled": "true",
        "dbms.usage_report.enabled": "false",
        "client.allow_telemetry": "false",
        "server.memory.pagecache.size": f"{memory // 3 // _MB}M",
        # Logs can go once a checkpoint has passed them, so checkpoints come by volume, not only by time.
        "db.tx_log.rotation.size": "32M",
        "db.tx_log.rotation.retention_policy": "128M size",
        "db.tx_log.preallocate": "false",
        "db.checkpoint": "VOLUME",
        "db.checkpoint.interval.volume": "128M",
        "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",  # it makes a stop last ten seconds longer
        **_own(home / OWN),
    }
    text = "# Written by kgsync at every start.\n" + "".join(f"{k}={v}\n" for k, v in lines.items())
    files.write_bytes(home / "conf" / "neo4j.conf", text.encode())


def _own(path: Path) -> dict[str, str]:
    """Return a person's own settings: they are added to ours, or take their place."""
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.strip() and not line.lstrip().startswith("#"):
            if not (name and equals):
                raise ConfigError(f"{path}, line {number}, is no setting", fix="write it as name=value")
            found[name] = value
    return found


def _write_java_arguments(home: Path, settings: Settings, classpath: list[Path]) -> Path:
    # A file, since two hundred jars would drown what a process list shows.
    heap = (settings.memory or default_memory()) * 2 // 3
    opened = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
    arguments = [
        f"-Xmx{heap // _MB}m",
        "-XX:+ExitOnOutOfMemoryError",  # better none, which the next `up` mends, than a crippled one
        "-XX:-OmitStackTraceInFastThrow",
        "-Dfile.encoding=UTF-8",
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in opened),
        "-cp",
        ":".join(map(str, [home / "plugins" / "*", *classpath])),
    ]
    path = home / "conf" / "java.arguments"
    quoted = ('"' + a.replace("\\", "\\\\").replace('"', '\\"') + '"\n' for a in arguments)
    files.write_bytes(path, "".join(quoted).encode())
    return path
