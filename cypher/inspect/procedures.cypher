// promises: read-only; the procedures of kgsync's plugin that the server offers this user
// columns: name, signature, mode, description
SHOW PROCEDURES YIELD name, signature, mode, description
WHERE name STARTS WITH 'kgsync.'
RETURN name, signature, mode, description
ORDER BY name
