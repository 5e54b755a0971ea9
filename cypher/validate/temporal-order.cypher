// Check: temporal order
// name: temporal-order
// severity: warning
// why: the dates at the ends of known edges of the relation follow each other one way, and here they do the other way
// parameters: orders (per relation: a date of the head, a date of the tail, and whether the head's comes first);
//   in Browser set it first:
//   :param orders => {PARENT: [{head: 'born', tail: 'born', before: true}]}
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND $orders[p.relation] IS NOT NULL
UNWIND $orders[p.relation] AS o
WITH h, p, t, o, h[o.head] AS first, t[o.tail] AS second
WHERE CASE WHEN o.before THEN first > second ELSE first < second END
RETURN h, p, t, p.id AS id, p.relation AS path, [toStringOrNull(first), toStringOrNull(second)] AS value,
       o.head + ' of the head is ' + CASE WHEN o.before THEN 'after ' ELSE 'before ' END + o.tail + ' of the tail' AS message
