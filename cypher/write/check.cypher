// promises: read-only; the rows whose ends are not there exactly once, or whose relationship is asserted already
// parameters: $rows: list of {n, head, relation, tail}
// columns: n, heads (nodes that are the head), tails, asserted
UNWIND $rows AS row
WITH row,
     COUNT { MATCH (h:{{head_label}}) WHERE h.{{head_key}} = row.head } AS heads,
     COUNT { MATCH (t:{{tail_label}}) WHERE t.{{tail_key}} = row.tail } AS tails,
     EXISTS {
       MATCH (h:{{head_label}})-[r]->(t:{{tail_label}})
       WHERE h.{{head_key}} = row.head AND t.{{tail_key}} = row.tail AND type(r) = row.relation
     } AS asserted
WHERE heads <> 1 OR tails <> 1 OR asserted
RETURN row.n AS n, heads, tails, asserted
