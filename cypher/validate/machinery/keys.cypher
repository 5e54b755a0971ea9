// promises: read-only; by which properties the latest run found its entities, the label that counts first at first
// columns: label, key
MATCH (r:__KgsyncRun)
WHERE r.keyLabels IS NOT NULL
WITH r ORDER BY r.startedAt DESC LIMIT 1
UNWIND range(0, size(r.keyLabels) - 1) AS i
RETURN r.keyLabels[i] AS label, r.keyProperties[i] AS key
