"""The Neo4j side: connection, statements, the local server; load, pull, write, review."""
