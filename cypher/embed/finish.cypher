// promises: all vectors of the model are in the graph
// parameters: $modelId
MATCH (m:__KgsyncModel {id: $modelId})
SET m.embeddedAt = datetime()
