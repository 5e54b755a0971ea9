"""Compiles the server plugin and packs its jar, with copies of the statements that it runs: `make plugin`.

Reads the Java sources beside it, `cypher/`, and the jars of the long-term Neo4j. The same sources give the same bytes
on any machine: the compiler is a JDK 17's, entries are sorted, stored as they are and dated alike.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from kgsync import files
from kgsync.graph import plugin, server, server_files
from kgsync.graph.jars import jars

SOURCES = Path(__file__).parent / "kgsync"
CYPHER = Path(__file__).parents[1] / "cypher"
JDK = "17"  # the oldest Java that runs Neo4j 5.26; another compiler's classes would do as well, but differ in bytes
STATEMENTS = (
    "browse/live/best-heads",
    "browse/live/best-tails",
    "browse/why",
    "inspect/relation_counts",
    "pull/types",
    "review/accept",
    "review/ids",
    "review/reject",
    "review/undo",
)
_API = ("annotations", "gql-status", "graphdb-api", "procedure-api", "resource")  # the public part of Neo4j
_MANIFEST = f"Manifest-Version: 1.0\r\nBuild-Jdk-Spec: {JDK}\r\nBundle-License: Apache-2.0\r\n\r\n"
_DATE = (1980, 1, 1, 0, 0, 0)


def compiler() -> str | None:
    """Return the `javac` of JDK 17 that JAVA_HOME or the path names, if there is one."""
    homes = [Path(os.environ["JAVA_HOME"]) / "bin"] if os.environ.get("JAVA_HOME") else []
    for found in [shutil.which("javac", path=folder) for folder in homes] + [shutil.which("javac")]:
        if found:
            version = subprocess.run([found, "-version"], capture_output=True, text=True, check=True)
            if re.match(rf"javac {JDK}\b", version.stdout or version.stderr):
                return found
    return None


def pack(compiled: dict[str, bytes]) -> bytes:
    """Return the jar with these classes."""
    entries = {f"kgsync/{path}": data for path, data in resources().items()} | compiled
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name in ["META-INF/MANIFEST.MF", *sorted(entries)]:
            info = ZipInfo(name, _DATE)
            info.external_attr = 0o644 << 16
            archive.writestr(info, entries.get(name, _MANIFEST.encode()))
    return buffer.getvalue()


def resources() -> dict[str, bytes]:
    """Return what the classes read: the statements, and the list of the checks among them."""
    checks = sorted(path.stem for path in (CYPHER / "validate").glob("*.cypher"))
    names = [*STATEMENTS, *(f"validate/{check}" for check in checks)]
    copies = {f"cypher/{name}.cypher": (CYPHER / f"{name}.cypher").read_bytes() for name in names}
    return copies | {"checks.txt": "".join(f"{check}\n" for check in checks).encode()}


def classes(javac: str) -> dict[str, bytes]:
    """Compile the sources, and return the classes by their path in the jar."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            javac,
            "--release",
            JDK,
            "-encoding",
            "UTF-8",
            "-proc:none",
            "-g:source,lines",
            "-Xlint:all",
            "-Werror",
        ]
        command += ["-cp", ":".join(map(str, _api())), "-d", folder, *map(str, sorted(SOURCES.glob("*.java")))]
        if subprocess.run(command).returncode:
            sys.exit("The plugin does not compile.")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.class")}


def _api() -> Iterator[Path]:
    version = server.LTS
    coordinates = [f"org.neo4j:neo4j:{version}", f"org.neo4j.app:neo4j-server:{version}"]
    for path in jars(f"neo4j-{version}", coordinates, server_files.jar_cache()):
        if path.name in [f"neo4j-{name}-{version}.jar" for name in _API]:
            yield path


def packed(jar: Path) -> dict[str, bytes]:
    """Return the classes that a jar holds."""
    with ZipFile(jar) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".class")}


def main() -> None:
    """Write the jar anew; who has changed only statements needs no JDK."""
    javac = compiler()
    files.write_bytes(plugin.jar(), pack(classes(javac) if javac else packed(plugin.jar())))
    print(f"Wrote {plugin.jar()}.")
    if javac is None:
        print(f"No JDK {JDK} is on the path or in JAVA_HOME: the statements are copied, the classes are as they were.")


if __name__ == "__main__":
    main()
