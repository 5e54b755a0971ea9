// promises: locks edges until the end of the transaction and returns what they carry; changes nothing
// parameters: $ids
// columns: id, edge (all of its properties, times as text)
UNWIND $ids AS id
MATCH ()-[e:PREDICTED {id: id}]->()
SET e.status = e.status  // locks the edge, so that what is read next stays true
RETURN id, e {.*, createdAt: toString(e.createdAt), updatedAt: toString(e.updatedAt), reviewedAt: toString(e.reviewedAt)} AS edge
