// Predicted edges: why this one
// promises: read-only; the known facts around a predicted edge: how its ends are connected otherwise, over one entity or none,
//   and what else the head is connected to in the same way
// parameters: id; in Browser set it first:
//   :param id => 'paste an id here'
// columns: h, p, t, direct, first, between, second, others
MATCH (h)-[p:PREDICTED {id: $id}]->(t)
CALL (h, p, t) {
  OPTIONAL MATCH (h)-[direct]-(t)
  WHERE type(direct) <> 'PREDICTED'
  RETURN collect(direct) AS direct
}
CALL (h, t) {
  OPTIONAL MATCH (h)-[first]-(between)-[second]-(t)
  WHERE type(first) <> 'PREDICTED' AND type(second) <> 'PREDICTED'
  WITH first, between, second
  LIMIT 25
  RETURN collect(first) AS first, collect(DISTINCT between) AS between, collect(second) AS second
}
CALL (h, p) {
  OPTIONAL MATCH path = (h)-[other]->()
  WHERE type(other) = p.relation
  WITH path
  LIMIT 10
  RETURN collect(path) AS others
}
RETURN h, p, t, direct, first, between, second, others
