// promises: read-only; the properties of entities that hold dates: nearly all of their values are temporal ones, texts in
//   ISO 8601, or whole numbers that can be years
// parameters: ignored (properties that are none), least (share of the values)
// columns: property
MATCH (n)
WHERE EXISTS { (n)-[{{types}}]-() }
UNWIND [k IN keys(n) WHERE NOT k IN $ignored] AS property
WITH property, n[property] AS value
WITH property, CASE
       WHEN value IS :: INTEGER NOT NULL THEN 1000 <= value <= 2100
       WHEN value IS :: STRING NOT NULL THEN size(value) < 40 AND value =~ '[0-9]{4}(-[0-9]{2}){0,2}(T.*)?'
       ELSE value IS :: DATE NOT NULL OR value IS :: ZONED DATETIME NOT NULL OR value IS :: LOCAL DATETIME NOT NULL
     END AS dated
WITH property, count(*) AS values, count(CASE WHEN dated THEN 1 END) AS dates
WHERE dates >= $least * values
RETURN property
ORDER BY property
