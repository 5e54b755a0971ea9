// promises: entities carry the model's vector, and say of which model it is, and of what it was made after the training; repeating it
//   changes nothing
// parameters: $modelId, $rows: list of [key, vector] or [key, vector, made]; the procedure stores 4 bytes per number, SET would store 8
// columns: done
UNWIND $rows AS row
MATCH (n:{{label}} {{{key}}: row[0]})
CALL db.create.setNodeVectorProperty(n, 'kgsyncVector', row[1])
SET n.kgsyncModelId = $modelId, n.kgsyncVectorFrom = row[2]
RETURN count(*) AS done
