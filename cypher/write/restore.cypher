// promises: edges carry again what they carried before, as far as it is kgsync's
// parameters: $rows: list of {id, set (all of kgsync's properties, times as text, null for what was not there)}
UNWIND $rows AS row
MATCH ()-[e:PREDICTED {id: row.id}]->()
SET e += row.set,
    e.createdAt = datetime(row.set.createdAt),
    e.updatedAt = datetime(row.set.updatedAt),
    e.reviewedAt = datetime(row.set.reviewedAt)
