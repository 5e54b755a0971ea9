// promises: read-only; the keys of the ends of a predicted edge, for each of their labels that has a key
// parameters: $id, $names: list of {label, key, name} (properties)
// columns: heads, tails (lists of {label, property, key, name}; the labels in the order of $names)
MATCH (h)-[:PREDICTED {id: $id}]->(t)
RETURN [n IN $names WHERE n.label IN labels(h) AND h[n.key] IS NOT NULL |
         {label: n.label, property: n.key, key: h[n.key], name: toStringOrNull(h[n.name])}] AS heads,
       [n IN $names WHERE n.label IN labels(t) AND t[n.key] IS NOT NULL |
         {label: n.label, property: n.key, key: t[n.key], name: toStringOrNull(t[n.name])}] AS tails
LIMIT 1
