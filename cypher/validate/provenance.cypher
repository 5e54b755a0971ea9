// Check: dangling provenance
// name: provenance
// severity: error
// fix: expire
// why: nobody can tell where the edge came from, as its run or its model is not in the graph
WITH COLLECT { MATCH (run:__KgsyncRun) RETURN run.id } AS runs,
     COLLECT { MATCH (model:__KgsyncModel) RETURN model.id } AS models
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined', 'accepted']
WITH h, p, t, coalesce(p.runId IN runs, false) AS run, coalesce(p.modelId IN models, false) AS model
WHERE NOT (run AND model)
RETURN h, p, t, p.id AS id, p.relation AS path,
       CASE WHEN run THEN p.modelId ELSE p.runId END AS value,
       CASE WHEN run THEN 'no model ' + coalesce(p.modelId, '(null)')
            ELSE 'no run ' + coalesce(p.runId, '(null)') END + ' in the graph' AS message
