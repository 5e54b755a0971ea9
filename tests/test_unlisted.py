"""Names that are not in the graph: which entity they mean, by letters, by meaning and by being near."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from example_graphs import QUICK, trained
from test_lm_endpoint import Faulty, endpoint, faulty, said
from test_lm_models import real_cache

from kgsync.cli.complete import complete as command
from kgsync.lm import causal, encoder, models
from kgsync.lm.assistant import Local, Served
from kgsync.lm.complete import complete
from kgsync.lm.unlisted import folded, resolve, unlisted
from kgsync.verbalize import Cloze

__all__ = ["faulty", "real_cache"]  # fixtures
CITIES = ["São Paulo", "Saint Petersburg", "Nizhny Novgorod", "Lyon", "Ho Chi Minh City", "", "北京"]
ENTITIES = list(enumerate(CITIES))
ASKED = Cloze("Brazil (Country) has the city", " x", ".", 0)


@pytest.mark.parametrize(
    ("name", "row", "by"),
    [
        ("Sao Paulo", 0, "name"),
        ("são-paulo", 0, "name"),
        ("St. Petersburg", None, ""),  # two letters less, and not near: not sure enough
        ("Saint-Peterburg", 1, "letters"),
        ("Nizhni Novgorod", 2, "letters"),
        ("Atlantis", None, ""),
        ("北京", 6, "name"),
        ("...", None, ""),
    ],
)
def test_a_name_means_the_entity_that_is_written_like_it(name: str, row: int | None, by: str) -> None:
    (found,) = resolve([name], ENTITIES, set())
    assert (found.entity, found.by, found.new) == (row, by, row is None)


def test_what_means_the_same_must_also_be_near() -> None:
    reader = encoder.load()
    (far,) = resolve(["Saigon, Ho Chi Minh"], [(4, "Ho Chi Minh City"), (3, "Lyon")], set(), encoder=reader)
    (near,) = resolve(["Saigon, Ho Chi Minh"], [(4, "Ho Chi Minh City"), (3, "Lyon")], {4}, encoder=reader)
    assert (far.nearest, far.near, near.near) == (4, False, True)
    assert near.meaning == far.meaning is not None
    assert far.new or far.by == "letters"


def test_nothing_is_like_anything_in_a_graph_without_names() -> None:
    (found,) = resolve(["Lyon"], [(0, ""), (1, "")], {0})
    assert (found.entity, found.nearest, found.letters) == (None, None, 0.0)
    assert resolve([], ENTITIES, set()) == ()


def test_accents_case_and_punctuation_make_no_other_name() -> None:
    assert folded("  Île-de-France ") == folded("ile de france") == "ile de france"
    assert folded("«İstanbul»") == folded("istanbul")


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ('{"names": ["Lyon", " Nice  town ", 3, "Lyon", ""]}', ["Lyon", "Nice town"]),
        ('{"names": "Lyon"}', []),
        ("no list", []),
        ('{"names": ["' + "x" * 5_000 + '"]}', ["x" * 200]),
    ],
)
def test_a_served_model_names_what_it_likes_and_no_more(faulty: Faulty, answer: str, names: list[str]) -> None:
    faulty.replies = [said(answer)]
    found = unlisted(Served(endpoint(faulty.url)), ASKED, ENTITIES, set())
    assert [each.name for each in found] == names


def test_a_completion_shows_names_beside_its_answers_and_ranks_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_cache: Path
) -> None:
    monkeypatch.setenv("KGSYNC_MODELS", str(real_cache))
    decoder = Local(causal.load(models.fetch()), "decoder")
    umls = trained("umls", replace(QUICK, rank=16, epochs=3))
    plain = complete(umls, "virus", "causes", assistant=decoder)
    found = complete(umls, "virus", "causes", assistant=decoder, allow_new=True)
    assert plain.unlisted == ()
    assert 1 <= len(found.unlisted) <= 10
    assert found.answers == plain.answers
    umls.snapshot.save(tmp_path / "ws" / "snapshots")
    umls.save(tmp_path / "ws" / "models")
    where = ["--workspace", str(tmp_path / "ws"), "--lm", "decoder"]
    shown = CliRunner().invoke(command, ["virus", "causes", "--allow-new", *where])
    assert shown.exit_code == 0, shown.output
    assert "What the language model names by itself" in shown.output
    told = json.loads(CliRunner().invoke(command, ["virus", "causes", "--allow-new", "--json", *where]).stdout)
    assert len(told["unlisted"]) == len(found.unlisted)
