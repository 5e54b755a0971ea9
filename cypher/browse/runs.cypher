// Runs and their models
// promises: read-only; the latest runs with the models that they used
// columns: run, used, model
MATCH (run:__KgsyncRun)
OPTIONAL MATCH (run)-[used:USED_MODEL]->(model:__KgsyncModel)
RETURN run, used, model
ORDER BY run.startedAt DESC
LIMIT 25
