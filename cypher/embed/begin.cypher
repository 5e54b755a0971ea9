// promises: the model is in the graph; repeating it changes nothing
// parameters: $modelId, $model: properties of a new model
MERGE (m:__KgsyncModel {id: $modelId})
ON CREATE SET m += $model
