// promises: sets the status of a run, and when it was rolled back
// parameters: $runId, $status
MATCH (r:__KgsyncRun {id: $runId})
SET r.status = $status, r.rolledBackAt = CASE $status WHEN 'rolled_back' THEN datetime() END
