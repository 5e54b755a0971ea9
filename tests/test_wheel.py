"""The wheel, not the checkout: what is in it, and that it works from anywhere with nothing but what it declares."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import neo4j
import pytest

import kgsync
from kgsync.graph.server import LocalServer

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a new environment: kgsync from the wheel, its dependencies from this one.

    (A `.pth` line adds a folder without reading the `.pth` files in it, so the checkout is not on the path.)
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    install: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "install", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "sitecustomize.py").write_text(WITHOUT_EXTRAS.replace("[]", str(sorted(extras()))))
    return folder / "bin"


# What comes with extras alone is not found, as after a plain `pip install kgsync`; nor by those who only look for it.
WITHOUT_EXTRAS = """
import sys
from importlib.machinery import PathFinder

class WithoutExtras(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in [] else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutExtras
"""


def extras() -> set[str]:
    """Return the modules that only extras bring."""
    project = PROJECT["project"]
    always = {_normal(name) for name in project["dependencies"]}
    only = {_normal(name) for extra in project["optional-dependencies"].values() for name in extra} - always
    providers = importlib.metadata.packages_distributions().items()
    return {module for module, names in providers if {_normal(name) for name in names} <= only}


def run(command: list[str | Path], folder: Path, **more: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | more
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_all_that_kgsync_needs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    statements = {f"kgsync/{path.relative_to(ROOT)}" for path in (ROOT / "cypher").rglob("*.cypher")}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "kgsync").rglob("*.py")}
    sample = {f"kgsync/sample/world/{name}.tsv" for name in ("entities", "relations", "triples")}
    about = f"kgsync-{kgsync.__version__}.dist-info"
    assert statements
    assert (statements | modules | sample | {"kgsync/py.typed", "kgsync/graph/kgsync-plugin.jar"}) <= names
    assert {f"{about}/licenses/LICENSE", f"{about}/licenses/NOTICE"} <= names
    assert {name.split("/")[0] for name in names} == {"kgsync", about}
    assert not [name for name in names if "/test" in name or "__pycache__" in name or name.endswith(".pyc")]


def test_the_command_of_the_wheel_runs_outside_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    assert run([installed / "kgsync", "--version"], tmp_path).strip() == f"kgsync, version {kgsync.__version__}"
    assert "Predict missing edges" in run([installed / "kgsync", "--help"], tmp_path)
    assert "--min-score" in run([installed / "kgsync", "predict", "--help"], tmp_path)


def test_statements_and_sample_come_out_of_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    code = """
import json, kgsync, kgsync.sample
from kgsync.graph import statements
folder = kgsync.sample.folder()
print(json.dumps({"package": kgsync.__file__, "cypher": str(statements.folder()), "sample": str(folder),
                  "text": statements.load("pull/entities").text, "triples": len((folder / "triples.tsv").read_text())}))
"""
    found = json.loads(run([installed / "python", "-c", code], tmp_path))
    for place in ("package", "cypher", "sample"):
        assert found[place].startswith(str(installed.parent)), place
    assert "MATCH" in found["text"]
    assert found["triples"] > 100_000


def test_the_wheel_without_extras_syncs_a_graph(
    installed: Path, tmp_path: Path, graph_db: neo4j.Driver, any_server: LocalServer
) -> None:
    assert {"pandas", "sentence_transformers", "starlette"} <= extras()
    facts = tmp_path / "facts"
    facts.mkdir()
    lines = [f"e{i}\tNEXT\te{(i + k) % 120}\n" for i in range(120) for k in (1, 2, 3, 5, 8, 13, 21, 34)]
    (facts / "triples.tsv").write_text("".join(lines), encoding="utf-8")
    config = "[train]\nrank = 8\nepochs = 3\n[predict]\nmin_score = 0.0\ntop_k = 20\n"
    (tmp_path / "kgsync.toml").write_text(config, encoding="utf-8")
    server = {"NEO4J_URI": any_server.uri, "NEO4J_USERNAME": "neo4j", "NEO4J_PASSWORD": any_server.password()}
    run([installed / "kgsync", "load", "facts"], tmp_path, **server)
    run([installed / "kgsync", "sync", "--yes"], tmp_path, **server)
    [count] = graph_db.execute_query("MATCH ()-[p:PREDICTED]->() RETURN count(p) AS n", database_="neo4j").records
    assert count["n"] == 20


def test_every_package_that_kgsync_imports_is_declared() -> None:
    declared = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        declared += extra
    providers = importlib.metadata.packages_distributions()
    for path in sorted((ROOT / "kgsync").rglob("*.py")):
        building = path.parent.name == "sample" and path.name != "__init__.py"  # these only rebuild the sample
        allowed = {_normal(name) for name in declared + (PROJECT["dependency-groups"]["sample"] if building else [])}
        for module in _imported(path) - sys.stdlib_module_names - {"kgsync"}:
            distributions = {_normal(name) for name in providers.get(module, [module])}
            assert distributions & allowed, f"{path.relative_to(ROOT)} imports {module}, which is not declared"


def _imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.split(".")[0])
    return modules


def _normal(requirement: str) -> str:
    name = re.split(r"[<>=!~;\[ ]", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
