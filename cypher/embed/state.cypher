// promises: read-only; what of vectors is in the graph
// parameters: $modelId
// columns: vectors (nodes that carry one), others (those of another model), relations (with vectors), complete (id of the model, or null)
OPTIONAL MATCH (m:__KgsyncModel)
WHERE m.embeddedAt IS NOT NULL
RETURN COUNT { MATCH (n) WHERE n.kgsyncModelId IS NOT NULL } AS vectors,
       COUNT { MATCH (n) WHERE n.kgsyncModelId <> $modelId } AS others,
       COUNT { MATCH (:__KgsyncRelationVector) } AS relations,
       m.id AS complete
LIMIT 1
