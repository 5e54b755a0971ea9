"""Relationship types for relations: readable, safe, unique, and for ever the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgsync.errors import NotFoundError
from kgsync.graph import names
from kgsync.graph.relation_types import OWN, Noted, assign, type_name


@pytest.mark.parametrize(
    ("relation", "name", "expected"),
    [
        ("HAS_CAPITAL", "has the capital", "HAS_CAPITAL"),
        ("/location/country/form_of_government", "", "LOCATION_COUNTRY_FORM_OF_GOVERNMENT"),
        (
            "/people/person/spouse_s./people/marriage/type_of_union",
            "",
            "PEOPLE_PERSON_SPOUSE_S_PEOPLE_MARRIAGE_TYPE_OF_UNION",
        ),
        ("_has_part", "has part", "HAS_PART"),
        ("bornIn", "", "BORN_IN"),
        ("isa", "is a", "ISA"),
        ("P101", "field of work", "FIELD_OF_WORK"),
        ("P101", "", "P101"),
        ("wdt:P31", "instance of", "INSTANCE_OF"),
        ("17", "made of", "MADE_OF"),
        ("17", "", "R_17"),
        ("http://www.wikidata.org/prop/direct/P31", "instance of", "INSTANCE_OF"),
        ("http://xmlns.com/foaf/0.1/knows", "", "KNOWS"),
        ("столица", "", "СТОЛИЦА"),
        ("भाषा", "", "भाषा"),
        ("❤️", "", "RELATION"),
        ("a`]->() DETACH DELETE n //\\u0060", "", "A_DETACH_DELETE_N_U0060"),
    ],
)
def test_a_type_is_made_of_the_id_or_of_the_name_where_the_id_is_a_code(
    relation: str, name: str, expected: str
) -> None:
    assert type_name(relation, name) == expected


def test_relations_that_would_share_a_type_get_numbers_and_types_stay_as_they_are() -> None:
    relations = dict.fromkeys(["born in", "born-in", "BORN_IN", "PREDICTED"], "")
    assert assign(relations, {}) == {
        "BORN_IN": "BORN_IN",
        "born in": "BORN_IN_2",
        "born-in": "BORN_IN_3",
        "PREDICTED": "PREDICTED_2",
    }
    assert assign({"Born in": "", "born-in": ""}, {"born-in": "BORN_IN"}) == {
        "Born in": "BORN_IN_2",
        "born-in": "BORN_IN",
    }


RELATIONS = st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), st.text(max_size=8))


@given(first=RELATIONS, second=RELATIONS)
def test_every_relation_has_a_type_of_its_own_that_later_loads_keep(
    first: dict[str, str], second: dict[str, str]
) -> None:
    known = assign(first, {})
    both = known | assign(second, known)
    assert set(both) == set(first) | set(second)
    assert len(set(both.values())) == len(both), "no two relations share a type"
    assert {relation: both[relation] for relation in first} == known
    for type_ in both.values():
        assert names.refusal(type_) is None
        assert type_ not in OWN


TYPES = ("FIELD_OF_WORK", "KNOWS", "LOCATION_COUNTRY_CAPITAL", "knownFor")
NOTED = Noted(
    ids={"FIELD_OF_WORK": "P101", "LOCATION_COUNTRY_CAPITAL": "/location/country/capital", "KNOWS": "KNOWS"},
    names={"FIELD_OF_WORK": "field of work", "KNOWS": "knows of", "knownFor": "knows of"},
)


@pytest.mark.parametrize(
    ("asked", "type_"),
    [
        ("LOCATION_COUNTRY_CAPITAL", "LOCATION_COUNTRY_CAPITAL"),
        ("/location/country/capital", "LOCATION_COUNTRY_CAPITAL"),
        ("P101", "FIELD_OF_WORK"),
        ("field of work", "FIELD_OF_WORK"),
        ("knows of", None),
        ("", None),
    ],
)
def test_a_relation_is_named_by_its_type_its_id_or_its_words(asked: str, type_: str | None) -> None:
    assert NOTED.meant(asked, TYPES) == type_


def test_a_type_is_meant_before_an_id_that_reads_like_it() -> None:
    assert Noted(ids={"A": "B", "B_2": "A"}).meant("A", ("A", "B_2")) == "A"


@pytest.mark.parametrize(
    ("asked", "fix"),
    [
        ("/location/country/captial", r"did you mean LOCATION_COUNTRY_CAPITAL \(/location/country/capital\)\?"),
        ("Knows", r"did you mean KNOWS, knownFor\?"),
        ("xyz", r"it has FIELD_OF_WORK \(P101\), KNOWS, LOCATION_COUNTRY_CAPITAL \(/location/country/capital\), known"),
    ],
)
def test_an_unknown_relation_is_refused_with_the_types_that_may_be_meant_and_their_ids(asked: str, fix: str) -> None:
    with pytest.raises(NotFoundError, match=f"the graph has no relation '{asked}'; {fix}"):
        NOTED.find(asked, TYPES, "the graph")
