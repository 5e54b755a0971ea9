// promises: read-only; what the graph says of some runs and their models
// parameters: ids (of runs)
// columns: id, startedAt, version, snapshot, model
MATCH (run:__KgsyncRun)
WHERE run.id IN $ids
OPTIONAL MATCH (run)-[:USED_MODEL]->(model:__KgsyncModel)
RETURN run.id AS id, toString(run.startedAt) AS startedAt, run.kgsyncVersion AS version,
       coalesce(run.snapshotHash, model.snapshotHash) AS snapshot, model.id AS model
