// promises: notes what a batch did, in the transaction that does it
// parameters: $runId, $n, $createdIds, $before (JSON, see kgsync/graph/ledger.py), $created, $updated, $expired
CREATE (:__KgsyncBatch {runId: $runId, n: $n, createdIds: $createdIds, before: $before,
                        created: $created, updated: $updated, expired: $expired})
