// promises: read-only; what reviewers have decided, by relation and score
// columns: relation, score (rounded), reviewed, accepted
MATCH ()-[p:PREDICTED]->()
WHERE p.status IN ['accepted', 'rejected'] AND 0 <= p.score <= 1
RETURN p.relation AS relation, round(p.score, 2) AS score, count(*) AS reviewed,
       count(CASE p.status WHEN 'accepted' THEN 1 END) AS accepted
