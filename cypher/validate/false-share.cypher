// Check: realised against promised share of false edges
// name: false-share
// severity: warning
// why: of a model's reviewed edges (20 or more) more were rejected than its scores promise (upper 95 % bound)
MATCH ()-[p:PREDICTED]->()
WHERE p.status IN ['accepted', 'rejected'] AND 0 <= p.score <= 1
WITH p.modelId AS model, count(*) AS reviewed, sum(CASE p.status WHEN 'rejected' THEN 1 ELSE 0 END) AS rejected,
     sum(1 - p.score) AS promised, sum(p.score * (1 - p.score)) AS variance
WHERE reviewed >= 20 AND rejected > promised + 1.645 * sqrt(variance) + 0.5
OPTIONAL MATCH (h:__KgsyncModel {id: model})
RETURN h, null AS p, null AS t, null AS id, null AS path, round(1.0 * rejected / reviewed, 3) AS value,
       'of ' + reviewed + ' reviewed edges of model ' + coalesce(model, '(null)') + ' '
       + toInteger(round(100.0 * rejected / reviewed)) + ' % were rejected; the scores promise '
       + toInteger(round(100 * promised / reviewed)) + ' %' AS message
