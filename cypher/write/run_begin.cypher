// promises: the run and its model are in the graph, and the run is running; repeating it changes nothing
// parameters: $runId, $run: properties of a new run, $startedAt, $pulledAt: when its snapshot was begun, may be null,
//   $modelId, $model: properties of a new model
MERGE (r:__KgsyncRun {id: $runId})
ON CREATE SET r += $run, r.startedAt = datetime($startedAt), r.pulledAt = datetime($pulledAt)
SET r.status = 'running'
MERGE (m:__KgsyncModel {id: $modelId})
ON CREATE SET m += $model
MERGE (r)-[:USED_MODEL]->(m)
