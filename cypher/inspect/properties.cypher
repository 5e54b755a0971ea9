// promises: read-only; what the properties of a label look like, in a sample of its first nodes
// parameters: $sample (nodes)
// columns: sampled, property, present, strings, integers, distinct (of strings and integers), length (mean, of strings)
MATCH (n:{{label}})
WITH n LIMIT $sample
WITH collect(n) AS nodes
UNWIND nodes AS n
UNWIND keys(n) AS property
WITH size(nodes) AS sampled, property, n[property] AS value
RETURN sampled, property,
       count(*) AS present,
       count(CASE WHEN value IS :: STRING NOT NULL THEN 1 END) AS strings,
       count(CASE WHEN value IS :: INTEGER NOT NULL THEN 1 END) AS integers,
       count(DISTINCT CASE WHEN value IS :: STRING NOT NULL OR value IS :: INTEGER NOT NULL THEN value END) AS distinct,
       coalesce(avg(CASE WHEN value IS :: STRING NOT NULL THEN size(value) END), 0.0) AS length
ORDER BY property
