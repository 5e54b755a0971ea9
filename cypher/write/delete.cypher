// promises: deletes the predicted edges with these ids, with the evidence that their run has written
// parameters: $ids
UNWIND $ids AS id
MATCH ()-[e:PREDICTED {id: id}]->()
OPTIONAL MATCH (v:__KgsyncEvidence {predictionId: id, runId: e.runId})
DELETE v, e
