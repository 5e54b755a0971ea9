// Predicted edges: overview
// promises: read-only; how many predicted edges there are per relation and status, and how sure they are
// columns: relation, status, edges, mean, lowest, highest (of the score)
MATCH ()-[p:PREDICTED]->()
RETURN p.relation AS relation, p.status AS status, count(*) AS edges,
       round(avg(p.score), 3) AS mean, min(p.score) AS lowest, max(p.score) AS highest
ORDER BY relation, status
