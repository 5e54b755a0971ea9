// promises: read-only; every finding of a check, without the nodes themselves, so that many are light
// parameters: runId (null: every run; what is about no predicted edge is of each run, unless its relationship names one),
//   names (maps of label, key and name: how an entity is called; without a name it is guessed)
// columns: id, status, reasons, focus, path, value, message, tail, score, inside (of the run)
CALL () {
{{check}}
}
RETURN id, p.status AS status, p.reasons AS reasons,
       coalesce(head([n IN $names WHERE n.label IN labels(h) | {label: n.label, key: h[n.key], name: h[coalesce(n.name, 'name')]}]),
                {label: head(labels(h)), name: coalesce(h.name, h.title, h.id)}) AS focus,
       path, value, message,
       coalesce(head([n IN $names WHERE n.label IN labels(t) | {label: n.label, key: t[n.key], name: t[coalesce(n.name, 'name')]}]),
                {label: head(labels(t)), name: coalesce(t.name, t.title, t.id)}) AS tail,
       p.score AS score,
       $runId IS NULL OR coalesce(CASE WHEN id IS NULL THEN coalesce(p.kgsyncRunId, $runId) ELSE p.runId END = $runId, false) AS inside
