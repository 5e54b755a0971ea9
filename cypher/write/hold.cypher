// promises: locks edges until the end of the transaction and returns what they carry; changes nothing
// parameters: $ids
// columns: id, edge (all of its properties, times as text)
UNWIND $ids AS id
MATCH ()-[e:PREDICTED {id: id}]->()
SET e.kgsyncLock = true  // lock before the look; SET e.status = e.status would write what it read before it waited
WITH id, e
REMOVE e.kgsyncLock
WITH id, e
RETURN id, e {.*, createdAt: toString(e.createdAt), updatedAt: toString(e.updatedAt), reviewedAt: toString(e.reviewedAt)} AS edge
