// Check: contradictions to the inverse
// name: inverse
// severity: warning
// why: the edge says the same as an edge of the inverse relation that a reviewer rejected, or the opposite of one that is known
// parameters: inverses (per relation its inverse, and whether both hold one way only; a symmetric relation is its own inverse);
//   in Browser set it first:
//   :param inverses => {PARENT_OF: {relation: 'CHILD_OF', oneWay: true}}
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND h <> t AND $inverses[toStringOrNull(p.relation)] IS NOT NULL
WITH h, p, t, $inverses[p.relation] AS inverse
WITH h, p, t, inverse.relation AS inverse,
     EXISTS { (t)-[q:PREDICTED {relation: inverse.relation}]->(h) WHERE q.status = 'rejected' } AS rejected,
     inverse.oneWay AND EXISTS { (h)-[r]->(t) WHERE type(r) = inverse.relation } AS opposite
WHERE rejected OR opposite
RETURN h, p, t, p.id AS id, p.relation AS path, CASE WHEN rejected THEN 'rejected' ELSE 'asserted' END AS value,
       CASE WHEN rejected THEN 'says the same as ' + inverse + ' from the tail to the head, which was rejected'
            ELSE 'says the opposite of the ' + inverse + ' that leads from the head to the tail' END AS message
