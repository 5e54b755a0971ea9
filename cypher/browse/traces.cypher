// Everything that kgsync has put into this graph
// promises: read-only; how much of each kind there is: predicted edges by status, relationships that came of accepting, and
//   kgsync's own nodes; `kgsync rollback` takes a run's edges out, `kgsync uninstall` everything but what was accepted
// columns: kind, number
CALL () {
  MATCH ()-[p:PREDICTED]->()
  RETURN 'PREDICTED, ' + coalesce(p.status, 'without status') AS kind, count(*) AS number
  UNION ALL
  MATCH ()-[p:PREDICTED {status: 'accepted'}]->()
  WHERE p.alreadyTrue IS NULL
  RETURN p.relation + ', made by accepting' AS kind, count(*) AS number
  UNION ALL
  MATCH (n)
  UNWIND [label IN labels(n) WHERE label STARTS WITH '__Kgsync'] AS kind
  RETURN kind, count(*) AS number
}
RETURN kind, number
ORDER BY kind
