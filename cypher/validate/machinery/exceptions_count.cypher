// promises: read-only; how many rows a statement has
// columns: exceptions
CALL () {
{{exceptions}}
}
RETURN count(*) AS exceptions
