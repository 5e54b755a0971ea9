// promises: read-only; the SHACL shapes that n10s has loaded, one row for each thing that one says; fails without n10s
// columns: target (a label), path (a property, or a relation of either direction; null for what is said of the entity), param
//   (what is said, as class, maxCount, minCount or not; with sh: before it in a graph of RDF), value
CALL n10s.validation.shacl.listShapes() YIELD target, propertyOrRelationshipPath, param, value
RETURN target, propertyOrRelationshipPath AS path, param, value
