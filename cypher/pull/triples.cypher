// promises: read-only; all relationships that start in ranges of keys of one label; predictions never
// parameters: $bounds: list of {lo, hi}, both inclusive
// columns: relation, label (number of the tail's label), heads, tails: lists of keys of the same length
UNWIND $bounds AS b
CALL (b) {
  MATCH (h:{{label}})-[r{{types}}]->(t)
  WHERE h.{{key}} >= b.lo AND h.{{key}} <= b.hi AND type(r) <> 'PREDICTED' {{not_earlier}}
  WITH type(r) AS relation, {{tail_label}} AS label, h.{{key}} AS head, {{tail_key}} AS tail
  WHERE label IS NOT NULL AND tail IS NOT NULL
  RETURN relation, label, collect(head) AS heads, collect(tail) AS tails
}
RETURN relation, label, heads, tails
