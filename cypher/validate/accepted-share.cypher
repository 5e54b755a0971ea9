// Check: accepted share per score decile
// name: accepted-share
// severity: info
// why: of the reviewed edges with such scores (20 or more) a share was accepted that the scores do not promise (95 % over all ten
//   deciles: 99.5 % each)
MATCH ()-[p:PREDICTED]->()
WHERE p.status IN ['accepted', 'rejected'] AND 0 <= p.score <= 1
WITH CASE WHEN p.score = 1 THEN 9 ELSE toInteger(p.score * 10) END AS decile, count(*) AS reviewed,
     sum(CASE p.status WHEN 'accepted' THEN 1 ELSE 0 END) AS accepted,
     sum(p.score) AS promised, sum(p.score * (1 - p.score)) AS variance
WHERE reviewed >= 20 AND abs(accepted - promised) > 2.807 * sqrt(variance) + 0.5
RETURN null AS h, null AS p, null AS t, null AS id, null AS path, round(1.0 * accepted / reviewed, 3) AS value,
       'of ' + reviewed + ' reviewed edges with a score of ' + decile / 10.0 + ' to ' + (decile + 1) / 10.0 + ', '
       + toInteger(round(100.0 * accepted / reviewed)) + ' % were accepted; the scores promise '
       + toInteger(round(100 * promised / reviewed)) + ' %' AS message
ORDER BY decile
