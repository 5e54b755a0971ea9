// promises: creates relation vectors: what an entity's vector is composed with to ask for tails, or for heads, and where to look for those
// parameters: $modelId, $rows: list of {relation, tails, heads, tailIndexes, headIndexes}
MATCH (m:__KgsyncModel {id: $modelId})
UNWIND $rows AS row
CREATE (r:__KgsyncRelationVector {modelId: $modelId, relation: row.relation,
                                  tailIndexes: row.tailIndexes, headIndexes: row.headIndexes})-[:USED_MODEL]->(m)
WITH r, row
CALL db.create.setNodeVectorProperty(r, 'tails', row.tails)
CALL db.create.setNodeVectorProperty(r, 'heads', row.heads)
RETURN count(*) AS done
