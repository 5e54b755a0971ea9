// promises: frees the write lock if it is ours
// parameters: $owner
MATCH (l:__KgsyncLock {name: 'write'})
SET l.heartbeat = l.heartbeat  // lock before the look
WITH l
WHERE l.owner = $owner
REMOVE l.owner
