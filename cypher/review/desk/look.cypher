// promises: read-only; all that is known about one predicted edge and around it, a bounded part of it
// parameters: id, names (maps of label, key, name, and text: a list of properties)
// columns: head, tail (maps of label, key, name, text, facts: how many it has), edge (all properties), model (all properties),
//   direct (known facts between the ends), between (known facts over one entity), heads, tails (known facts of each end);
//   out says that a fact starts at the end it is listed for
MATCH (h)-[p:PREDICTED {id: $id}]->(t)
CALL (h) {
  WITH h, head([n IN $names WHERE n.label IN labels(h)]) AS n
  RETURN {label: coalesce(n.label, head(labels(h))), key: h[n.key],
          name: [x IN [h[n.name], h.name, h.title, h.id] WHERE toStringOrNull(x) IS NOT NULL | toString(x)][0],
          text: [x IN n.text WHERE toStringOrNull(h[x]) IS NOT NULL | toString(h[x])][0],
          facts: COUNT { (h)--() } - COUNT { (h)-[:PREDICTED]-() }} AS head
}
CALL (t) {
  WITH t, head([n IN $names WHERE n.label IN labels(t)]) AS n
  RETURN {label: coalesce(n.label, head(labels(t))), key: t[n.key],
          name: [x IN [t[n.name], t.name, t.title, t.id] WHERE toStringOrNull(x) IS NOT NULL | toString(x)][0],
          text: [x IN n.text WHERE toStringOrNull(t[x]) IS NOT NULL | toString(t[x])][0],
          facts: COUNT { (t)--() } - COUNT { (t)-[:PREDICTED]-() }} AS tail
}
CALL (h, t) {
  MATCH (h)-[r]-(t)
  WHERE type(r) <> 'PREDICTED'
  WITH DISTINCT r, h
  LIMIT 4
  RETURN collect({relation: type(r), out: startNode(r) = h}) AS direct
}
CALL (h, t) {
  MATCH (h)-[first]-(m)
  WHERE type(first) <> 'PREDICTED' AND m <> h AND m <> t
  WITH first, m, h, t
  LIMIT 2000
  MATCH (m)-[second]-(t)
  WHERE type(second) <> 'PREDICTED'
  WITH m, collect({relation: type(first), out: startNode(first) = h, back: type(second), backOut: startNode(second) = t})[0] AS link
  LIMIT 6
  WITH m, link, head([n IN $names WHERE n.label IN labels(m)]) AS n
  RETURN collect(link {.*, label: coalesce(n.label, head(labels(m))),
                       name: [x IN [m[n.name], m.name, m.title, m.id] WHERE toStringOrNull(x) IS NOT NULL | toString(x)][0]}) AS between
}
CALL (h, p, t) {
  MATCH (h)-[r]-(m)
  WHERE type(r) <> 'PREDICTED' AND m <> h AND m <> t
  WITH r, m, h, p
  LIMIT 500
  WITH r, m, h
  ORDER BY type(r) <> p.relation OR startNode(r) <> h, type(r)
  LIMIT 12
  WITH r, m, h, head([n IN $names WHERE n.label IN labels(m)]) AS n
  RETURN collect({relation: type(r), out: startNode(r) = h,
                  label: coalesce(n.label, head(labels(m))),
                  name: [x IN [m[n.name], m.name, m.title, m.id] WHERE toStringOrNull(x) IS NOT NULL | toString(x)][0]}) AS heads
}
CALL (h, p, t) {
  MATCH (t)-[r]-(m)
  WHERE type(r) <> 'PREDICTED' AND m <> h AND m <> t
  WITH r, m, t, p
  LIMIT 500
  WITH r, m, t
  ORDER BY type(r) <> p.relation OR endNode(r) <> t, type(r)
  LIMIT 12
  WITH r, m, t, head([n IN $names WHERE n.label IN labels(m)]) AS n
  RETURN collect({relation: type(r), out: startNode(r) = t,
                  label: coalesce(n.label, head(labels(m))),
                  name: [x IN [m[n.name], m.name, m.title, m.id] WHERE toStringOrNull(x) IS NOT NULL | toString(x)][0]}) AS tails
}
OPTIONAL MATCH (model:__KgsyncModel {id: p.modelId})
RETURN head, tail, properties(p) AS edge, properties(model) AS model, direct, between, heads, tails
LIMIT 1
