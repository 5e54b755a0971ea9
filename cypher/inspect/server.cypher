// promises: read-only; what kind of server this is, and its time
// columns: version, edition, now (milliseconds since 1970)
CALL dbms.components() YIELD name, versions, edition
WHERE name = 'Neo4j Kernel'
RETURN versions[0] AS version, edition, datetime.realtime().epochMillis AS now
