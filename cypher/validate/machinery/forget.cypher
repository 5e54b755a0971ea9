// promises: deletes kgsync's own notes that a check found, a run with those of its batches; nothing else, whatever the check found
// columns: done
CALL () {
{{check}}
}
WITH h
WHERE h:__KgsyncRun OR h:__KgsyncBatch OR h:__KgsyncModel OR h:__KgsyncEvidence
WITH collect(DISTINCT h) AS notes
CALL (notes) {
  UNWIND notes AS h
  MATCH (b:__KgsyncBatch)
  WHERE h:__KgsyncRun AND b.runId = h.id
  RETURN collect(b) AS batches
}
WITH notes, [b IN batches WHERE NOT b IN notes] AS batches
FOREACH (n IN notes + batches | DETACH DELETE n)
RETURN size(notes) AS done
