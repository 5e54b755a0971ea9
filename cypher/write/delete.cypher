// promises: deletes the predicted edges with these ids
// parameters: $ids
UNWIND $ids AS id
MATCH ()-[e:PREDICTED {id: id}]->()
DELETE e
