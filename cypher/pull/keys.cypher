// promises: read-only; says what the keys of one label are like, before anything is pulled
// columns: entities, missing (nodes without a key), unusable (keys that are neither string nor integer),
//   kind (the type of one unusable key)
MATCH (n:{{label}})
RETURN count(n.{{key}}) AS entities,
       count(n) - count(n.{{key}}) AS missing,
       count(CASE WHEN NOT (n.{{key}} IS :: STRING OR n.{{key}} IS :: INTEGER) THEN 1 END) AS unusable,
       max(CASE WHEN NOT (n.{{key}} IS :: STRING OR n.{{key}} IS :: INTEGER) THEN valueType(n.{{key}}) END) AS kind
