// promises: takes kgsync's properties off some relationships that came from predictions, and says off how many; they stay
// parameters: $limit
// columns: done
MATCH ()-[e:{{relation}}]->()
WHERE e.kgsyncPredictionId IS NOT NULL
WITH e LIMIT $limit
SET e.knowledgeLevel = CASE WHEN e.knowledgeLevel <> 'knowledge_assertion' THEN e.knowledgeLevel END,
    e.agentType = CASE WHEN e.agentType <> 'manual_validation_of_automated_agent' THEN e.agentType END
REMOVE e.kgsyncPredictionId, e.kgsyncRunId, e.kgsyncModelId
RETURN count(*) AS done
