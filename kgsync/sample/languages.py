"""Languages, their scripts and families, and who speaks them, from CLDR."""

from collections import defaultdict

from babel import Locale, UnknownLocaleError
from babel.core import get_global

from kgsync.sample import tsv
from kgsync.sample.areas import areas
from kgsync.sample.graph import Graph

OFFICIAL = {"official", "de_facto_official"}
LEFT_OUT = {"und", "nqo", "cop", "no"}  # not known, a script, liturgical, and told apart as nb and nn
SPOKEN_BY = 2.0  # percent of the population
# Where CLDR's status is out of date, or means something weaker than official in the whole country.
NOT_OFFICIAL = {
    ("UA", "ru"), ("CH", "gsw"), ("LI", "gsw"), ("MA", "tzm"), ("MA", "fr"), ("DZ", "fr"), ("TN", "fr"),
    ("MG", "en"), ("ML", "fr"), ("BF", "fr"), ("NE", "fr"), ("NG", "yo"), ("IL", "ar"), ("SN", "wo"),
}  # fmt: skip
ALSO_OFFICIAL = {"ZA": "af nr nso ss st tn ts ve xh zu", "IQ": "ckb", "MA": "zgh"}


def add_languages(graph: Graph) -> None:
    """Adds every language that is official somewhere or that one in fifty people of an area can use."""
    names, speakers = Locale("en").languages, _speakers()
    kept = set()
    for area in areas().values():
        for tag, info in get_global("territory_languages").get(area.code, {}).items():
            code = tag.partition("_")[0]
            official = _official(area.code, code, info["official_status"])
            common = info["population_percent"] >= SPOKEN_BY
            if code in LEFT_OUT or code not in names or not (official or common):
                continue
            id = f"language:{code}"
            if code not in kept:
                kept.add(code)
                graph.add(id, "Language", names[code], _describe(code, names[code], speakers[code]))
            if official:
                graph.link(area.id, "HAS_OFFICIAL_LANGUAGE", id)
            if common:
                graph.link(area.id, "SPEAKS", id)
            graph.link(id, "WRITTEN_IN", f"script:{_script(tag)}")
    for row in tsv.read("scripts"):
        graph.add(f"script:{row['code']}", "Script", row["name"], row["description"])
    families = tsv.read("families")
    for row in families:
        about = f"Group of related languages with the ISO 639-5 code {row['code']}."
        graph.add(f"family:{row['code']}", "LanguageFamily", f"{row['name']} languages", about)
    for row in families:
        if row["parent"]:
            graph.link(f"family:{row['code']}", "IN_FAMILY", f"family:{row['parent']}")
        for code in kept.intersection(row["languages"].split()):
            graph.link(f"language:{code}", "IN_FAMILY", f"family:{row['code']}")


def _official(area: str, code: str, status: str | None) -> bool:
    if code in ALSO_OFFICIAL.get(area, "").split():
        return True
    return status in OFFICIAL and (area, code) not in NOT_OFFICIAL


def _script(tag: str) -> str:
    """The script of a tag such as `sr_Latn`, or the one that CLDR calls likely for the language."""
    explicit = tag.partition("_")[2]
    return explicit or str(get_global("likely_subtags")[tag]).split("_")[1]


def _speakers() -> dict[str, float]:
    counts: dict[str, float] = defaultdict(float)
    for area in areas().values():
        for tag, info in get_global("territory_languages").get(area.code, {}).items():
            if "_" not in tag:  # a second script has the same speakers
                counts[tag] += area.population * info["population_percent"] / 100
    return counts


def _describe(code: str, name: str, speakers: float) -> str:
    try:
        own = Locale.parse(code).languages.get(code, name)
    except UnknownLocaleError:
        own = name
    native = f", called {own} by its speakers" if own.casefold() != name.casefold() else ""
    rough = float(f"{speakers:.2g}")  # an estimate: two digits are enough
    units = ((1e9, " billion"), (1e6, " million"), (1, ""))
    unit, word = next(((unit, word) for unit, word in units if rough >= unit), units[-1])
    many = f"{rough / unit:,g}{word}"
    return f"Language{native}, with about {many} users; code {code}."
