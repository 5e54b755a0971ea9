// promises: read-only; the rows whose ends are not there exactly once, or whose relationship is asserted already
// parameters: $rows: list of {n, head, relation, tail}
// columns: n, heads (nodes that are the head), tails, asserted
UNWIND $rows AS row
CALL (row) {
  OPTIONAL MATCH (h:{{head_label}})
  WHERE h.{{head_key}} = row.head
  RETURN count(h) AS heads, head(collect(h)) AS h
}
CALL (row) {
  OPTIONAL MATCH (t:{{tail_label}})
  WHERE t.{{tail_key}} = row.tail
  RETURN count(t) AS tails, head(collect(t)) AS t
}
WITH row, heads, tails, EXISTS { (h)-[r]->(t) WHERE type(r) = row.relation } AS asserted
WHERE heads <> 1 OR tails <> 1 OR asserted
RETURN row.n AS n, heads, tails, asserted
