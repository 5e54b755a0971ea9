// promises: read-only; all relationships that start in entities with the given keys of one label; predictions never; one
//   pass per list where the key has no index
// parameters: $bounds: list of {keys: list}
// columns: as in pull/triples
UNWIND $bounds AS b
CALL (b) {
  MATCH (h:{{label}})-[r{{types}}]->(t)
  WHERE h.{{key}} IN b.keys AND type(r) <> 'PREDICTED' {{not_earlier}}
  WITH type(r) AS relation, {{tail_label}} AS label, h.{{key}} AS head, {{tail_key}} AS tail
  WHERE label IS NOT NULL AND tail IS NOT NULL
  RETURN relation, label, collect(head) AS heads, collect(tail) AS tails
}
RETURN relation, label, heads, tails
