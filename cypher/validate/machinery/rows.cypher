// promises: read-only; the rows form of a check, which Browser draws
// columns: h, p, t, id, path, value, message
CALL () {
{{check}}
}
RETURN h, p, t, id, path, value, message
LIMIT 25
