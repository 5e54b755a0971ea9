// promises: read-only; which label the graph type asks for at which end of a relation; for Neo4j 2026.02 and newer
// columns: relation, end (source or target), label
CYPHER 25
SHOW CONSTRAINTS YIELD type, labelsOrTypes, enforcedLabel
WHERE type = 'RELATIONSHIP_SOURCE_LABEL' OR type = 'RELATIONSHIP_TARGET_LABEL'
RETURN labelsOrTypes[0] AS relation, CASE type WHEN 'RELATIONSHIP_SOURCE_LABEL' THEN 'source' ELSE 'target' END AS end,
       enforcedLabel AS label
ORDER BY relation, end, label
