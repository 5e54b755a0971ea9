// promises: read-only; one row for each server that hosts the database
// parameters: $name
// columns: as the server has them; of use here: access, currentStatus, defaultLanguage (since 2025.06)
SHOW DATABASES YIELD * WHERE name = $name
