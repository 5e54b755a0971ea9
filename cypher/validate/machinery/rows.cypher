// promises: read-only; the rows form of a check, which Browser draws
// columns: focus (the head of the edge), p, t, id, path, value, check, severity, message: those of a SHACL report
CALL () {
{{check}}
}
RETURN h AS focus, p, t, id, path, value, {{name}} AS check, {{severity}} AS severity, message
LIMIT 25
