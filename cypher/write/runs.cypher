// promises: read-only; the runs that the graph knows, the latest first
// columns: id, status, startedAt, finishedAt, created, updated, expired, planHash, models
MATCH (r:__KgsyncRun)
RETURN r.id AS id, r.status AS status, toString(r.startedAt) AS startedAt, toString(r.finishedAt) AS finishedAt,
       coalesce(r.created, 0) AS created, coalesce(r.updated, 0) AS updated, coalesce(r.expired, 0) AS expired,
       r.planHash AS planHash, COLLECT { MATCH (r)-[:USED_MODEL]->(m:__KgsyncModel) RETURN m.id ORDER BY m.id } AS models
ORDER BY r.startedAt DESC, id DESC
