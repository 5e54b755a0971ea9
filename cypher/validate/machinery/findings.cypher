// promises: read-only; every finding of a check, without the nodes themselves, so that many are light
// parameters: runId (null: of every run), names (maps of label, key and name: how an entity is called)
// columns: id, status, reasons, focus, path, value, message, tail, score
CALL () {
{{check}}
}
WITH h, p, t, id, path, value, message
WHERE $runId IS NULL OR p.runId = $runId
RETURN id, p.status AS status, p.reasons AS reasons,
       coalesce(head([n IN $names WHERE n.label IN labels(h) | {label: n.label, key: h[n.key], name: h[n.name]}]),
                {label: head(labels(h)), name: coalesce(h.name, h.title, h.id)}) AS focus,
       path, value, message,
       coalesce(head([n IN $names WHERE n.label IN labels(t) | {label: n.label, key: t[n.key], name: t[n.name]}]),
                {label: head(labels(t)), name: coalesce(t.name, t.title, t.id)}) AS tail,
       p.score AS score
