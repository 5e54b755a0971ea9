// promises: creates the edges whose ends are there and whose relationship is not asserted; changes no edge that is there
// parameters: $rows: list of {n, id, head, relation, tail, score, scoreLow, rank, kgeScore}, $modelId, $runId, $now
// columns: n (of each edge that was created)
WITH datetime($now) AS now
UNWIND $rows AS row
MATCH (h:{{head_label}})
WHERE h.{{head_key}} = row.head
MATCH (t:{{tail_label}})
WHERE t.{{tail_key}} = row.tail
WITH now, row, h, t
WHERE NOT EXISTS { (h)-[r]->(t) WHERE type(r) = row.relation }
MERGE (h)-[e:PREDICTED {id: row.id}]->(t)
ON CREATE SET
  e.relation = row.relation,
  e.score = row.score,
  e.scoreLow = row.scoreLow,
  e.status = 'proposed',
  e.rank = row.rank,
  e.kgeScore = row.kgeScore,
  e.modelId = $modelId,
  e.runId = $runId,
  e.firstRunId = $runId,
  e.createdAt = now,
  e.updatedAt = now
WITH now, row, e
WHERE e.createdAt = now  // a MERGE that found the edge has made nothing
RETURN row.n AS n
