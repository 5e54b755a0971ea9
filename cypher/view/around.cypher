// promises: read-only; the edges of some entities of one label, a bounded part of them: predicted ones first, best score first,
//   then known ones, one of each relation in turn, so that an entity with many edges does not show one relation only
// parameters: keys, names (maps of label, key and name: how an entity is called), statuses (of predicted edges), most (edges
//   of an entity, of either kind), seen (edges of an entity that are looked at)
// columns: focus (key), degree (all its edges), edges (maps of out: it starts here, predicted, relation, properties, other: a
//   map of label, key, name; null for a node that has none)
UNWIND $keys AS focus
MATCH (n:{{label}} {{{key}}: focus})
CALL (n) {
  MATCH (n)-[p:PREDICTED]-(m)
  WHERE p.status IN $statuses
  WITH p, m, n
  ORDER BY p.score DESC, p.id
  LIMIT $most
  RETURN collect({edge: p, other: m, out: startNode(p) = n}) AS predicted
}
CALL (n) {
  MATCH (n)-[r]-(m)
  WHERE type(r) <> 'PREDICTED'
  WITH r, m, n
  LIMIT $seen
  WITH type(r) AS relation, startNode(r) = n AS out, collect({edge: r, other: m}) AS same
  UNWIND range(0, size(same) - 1) AS place
  WITH relation, out, place, same[place] AS one
  ORDER BY place, relation, out
  LIMIT $most
  RETURN collect({edge: one.edge, other: one.other, out: out}) AS known
}
RETURN focus, COUNT { (n)--() } AS degree,
       [x IN predicted + known |
         {out: x.out, relation: coalesce(CASE type(x.edge) WHEN 'PREDICTED' THEN x.edge.relation END, type(x.edge)),
          predicted: type(x.edge) = 'PREDICTED', properties: properties(x.edge),
          other: head([a IN $names WHERE a.label IN labels(x.other) AND x.other[a.key] IS NOT NULL |
                       {label: a.label, key: x.other[a.key], name: toStringOrNull(x.other[a.name])}])}] AS edges
