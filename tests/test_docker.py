"""The files in `docker/`, as text: no engine builds or runs them here (their README says so)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import kgsync
from kgsync.graph.server import LTS

DOCKER = Path(__file__).parents[1] / "docker"
BIN = Path(sys.executable).parent


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("command", [["hadolint", "Dockerfile"], ["compose-lint", "compose.yml"]])
def test_the_linters_pass(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=DOCKER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_image_is_pinned_to_a_whole_version(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    bases = re.findall(r"^FROM (\S+)", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    for image in [*images, *bases]:
        assert re.fullmatch(r"[a-z0-9]+:\d+\.\d+\.\d+(-[a-z]+)*", image), image
    assert len(set(bases)) == 1
    assert set(images) == {f"neo4j:{LTS}-community", f"kgsync:{kgsync.__version__}"}


def test_no_password_is_in_the_files_and_one_must_be_given(compose: dict[str, Any]) -> None:
    given = [
        value
        for service in compose["services"].values()
        for name, value in service["environment"].items()
        if "AUTH" in name or "PASSWORD" in name
    ]
    assert len(given) == 2
    for value in given:
        assert re.fullmatch(r"(neo4j/)?\$\{NEO4J_PASSWORD:\?[^}]+\}", value)


def test_nothing_listens_beyond_this_machine(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_kgsync_waits_for_a_healthy_neo4j_and_runs_without_privileges(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["neo4j"]["healthcheck"]["test"][0] == "CMD"
    assert services["kgsync"]["depends_on"] == {"neo4j": {"condition": "service_healthy"}}
    assert services["kgsync"]["cap_drop"] == ["ALL"]
    users = re.findall(r"^USER (\S+)", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert users == ["10001"]


def test_volumes_that_are_used_are_declared(compose: dict[str, Any]) -> None:
    used = {volume.split(":")[0] for service in compose["services"].values() for volume in service["volumes"]}
    assert used == set(compose["volumes"])


def test_everything_that_is_copied_into_the_image_is_there_and_not_ignored() -> None:
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
        for name in line.split()
    ]
    allowed = re.findall(r"^!(\S+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(allowed)
    for name in copied:
        assert (DOCKER.parent / name).exists(), name


def test_the_readme_says_that_no_test_runs_them() -> None:
    assert "No test builds or runs these files" in (DOCKER / "README.md").read_text(encoding="utf-8")
