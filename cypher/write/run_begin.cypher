// promises: the run and its model are in the graph, and the run is running; repeating it changes nothing
// parameters: $runId, $run: properties of a new run, $startedAt, $modelId, $model: properties of a new model
MERGE (r:__KgsyncRun {id: $runId})
ON CREATE SET r += $run, r.startedAt = datetime($startedAt)
SET r.status = 'running'
MERGE (m:__KgsyncModel {id: $modelId})
ON CREATE SET m += $model
MERGE (r)-[:USED_MODEL]->(m)
