// promises: read-only; which entities still wait for the model's vector, how many are in the graph, and how many carry another model's
// parameters: $modelId, $rows: list of [number, key]
// columns: waiting (numbers), found, others
UNWIND $rows AS row
MATCH (n:{{label}} {{{key}}: row[1]})
RETURN collect(CASE WHEN n.kgsyncModelId = $modelId THEN null ELSE row[0] END) AS waiting,
       count(DISTINCT row[0]) AS found,
       count(CASE WHEN n.kgsyncModelId <> $modelId THEN 1 END) AS others
