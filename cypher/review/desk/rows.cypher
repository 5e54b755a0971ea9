// promises: read-only; predicted edges by their ids, as review/list returns them
// parameters: ids, names (maps of label, key and name: how an entity is called)
// columns: those of review/list
UNWIND $ids AS id
MATCH (h)-[p:PREDICTED {id: id}]->(t)
RETURN p.id AS id,
       coalesce(head([n IN $names WHERE n.label IN labels(h) | {label: n.label, key: h[n.key], name: h[n.name]}]),
                {label: head(labels(h)), name: coalesce(h.name, h.title, h.id)}) AS head,
       p.relation AS relation,
       coalesce(head([n IN $names WHERE n.label IN labels(t) | {label: n.label, key: t[n.key], name: t[n.name]}]),
                {label: head(labels(t)), name: coalesce(t.name, t.title, t.id)}) AS tail,
       p.score AS score, p.scoreLow AS scoreLow, p.status AS status, p.rank AS rank, p.reasons AS reasons,
       p.modelId AS modelId, p.runId AS runId, p.reviewedBy AS reviewedBy,
       toString(p.reviewedAt) AS reviewedAt, p.reviewReason AS reviewReason
