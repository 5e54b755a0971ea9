// promises: read-only; what edges carry
// parameters: $ids
// columns: id, edge (all of its properties, times as text)
UNWIND $ids AS id
MATCH ()-[e:PREDICTED {id: id}]->()
RETURN id, e {.*, createdAt: toString(e.createdAt), updatedAt: toString(e.updatedAt), reviewedAt: toString(e.reviewedAt)} AS edge
