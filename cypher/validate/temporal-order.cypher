// Check: temporal order
// name: temporal-order
// severity: warning
// why: the dates at the ends of known edges of the relation follow each other one way, and here they do the other way, as far
//   as the vaguer of the two goes; a date is a temporal value, a text in ISO 8601, or a year
// parameters: orders (per relation: a date of the head, a date of the tail, and whether the head's comes first);
//   in Browser set it first:
//   :param orders => {PARENT: [{head: 'born', tail: 'born', before: true}]}
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND $orders[toStringOrNull(p.relation)] IS NOT NULL
UNWIND $orders[p.relation] AS o
WITH h, p, t, o, toStringOrNull(h[o.head]) AS first, toStringOrNull(t[o.tail]) AS second
WHERE first =~ '[0-9]{4}(-.*)?' AND second =~ '[0-9]{4}(-.*)?'
WITH h, p, t, o, first, second, left(first, size(second)) AS early, left(second, size(first)) AS late
WHERE CASE WHEN o.before THEN early > late ELSE early < late END
RETURN h, p, t, p.id AS id, p.relation AS path, [first, second] AS value,
       o.head + ' of the head is ' + CASE WHEN o.before THEN 'after ' ELSE 'before ' END + o.tail + ' of the tail' AS message
