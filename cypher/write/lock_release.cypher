// promises: frees the write lock if it is ours
// parameters: $owner
MATCH (l:__KgsyncLock {name: 'write'})
SET l.kgsyncLock = true  // lock before the look
WITH l
REMOVE l.kgsyncLock
WITH l
WHERE l.owner = $owner
REMOVE l.owner
