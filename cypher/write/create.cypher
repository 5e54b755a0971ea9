// promises: creates the edges whose ends are there and whose relationship is not asserted, and beside each the evidence
//   for it; changes no edge that is there
// parameters: $rows: lists (faster to read than maps) of the columns that the first WITH names, $modelId, $runId, $now
// columns: ids (of the edges that were created)
UNWIND $rows AS row
WITH row[0] AS id, row[1] AS head, row[2] AS tail, row[3] AS relation, row[4] AS score, row[5] AS scoreLow,
     row[6] AS rank, row[7] AS kgeScore, row[8] AS ruleScore, row[9] AS textScore,
     row[10] AS evidence, row[11] AS kgsyncDetails,
     datetime($now) AS now
MATCH (h:{{head_label}})
WHERE h.{{head_key}} = head
MATCH (t:{{tail_label}})
WHERE t.{{tail_key}} = tail
WITH *
WHERE NOT EXISTS { (h)-[r]->(t) WHERE type(r) = relation }
MERGE (h)-[e:PREDICTED {id: id}]->(t)
ON CREATE SET
  e.relation = relation,
  e.score = score,
  e.scoreLow = scoreLow,
  e.status = 'proposed',
  e.rank = rank,
  e.kgeScore = kgeScore,
  e.ruleScore = ruleScore,
  e.textScore = textScore,
  e.evidence = evidence,
  e.modelId = $modelId,
  e.runId = $runId,
  e.firstRunId = $runId,
  e.createdAt = now,
  e.updatedAt = now
WITH id, e, now, kgsyncDetails
WHERE e.createdAt = now  // a MERGE that found the edge has made nothing
FOREACH (content IN CASE WHEN kgsyncDetails IS NULL THEN [] ELSE [kgsyncDetails] END |
  MERGE (v:__KgsyncEvidence {predictionId: id, runId: $runId})
  ON CREATE SET v.modelId = $modelId, v.content = content)
RETURN collect(id) AS ids
