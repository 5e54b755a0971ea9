// promises: read-only; the count form of a check
// columns: findings
CALL () {
{{check}}
}
RETURN count(*) AS findings
