// promises: read-only; returns when the index is online, fails after five minutes
// parameters: $name
CALL db.awaitIndex($name, 300)
