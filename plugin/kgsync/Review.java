package kgsync;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.neo4j.graphdb.Node;
import org.neo4j.graphdb.Relationship;
import org.neo4j.graphdb.Result;
import org.neo4j.graphdb.Transaction;
import org.neo4j.procedure.Context;
import org.neo4j.procedure.Description;
import org.neo4j.procedure.Mode;
import org.neo4j.procedure.Name;
import org.neo4j.procedure.Procedure;

/**
 * `kgsync.accept`, `kgsync.reject`, `kgsync.undo`: the statements of `review/`, with the promises of `kgsync review`.
 *
 * What another reviewer has decided is told, never overwritten; the statements leave a note of each decision.
 */
public final class Review {

    private static final List<String> LIVE = List.of("proposed", "quarantined");
    private static final String IDS = "Ids of predicted edges; their first characters suffice.";
    private static final String BY = "Name of the reviewer, which is kept with the decision.";
    private static final String REASON = "Why, which is kept with the decision.";

    @Context
    public Transaction tx;

    @Procedure(name = "kgsync.accept", mode = Mode.WRITE, eager = true)
    @Description("Makes predicted edges true: each becomes accepted, and the relationship that it predicts is there.")
    public Stream<Decision> accept(
            @Name(value = "ids", description = IDS) List<String> ids,
            @Name(value = "by", description = BY) String by,
            @Name(value = "reason", defaultValue = "", description = REASON) String reason) {
        return decide("accept", ids, by, reason);
    }

    @Procedure(name = "kgsync.reject", mode = Mode.WRITE, eager = true)
    @Description("Rejects predicted edges: they are never proposed again, and teach the next training.")
    public Stream<Decision> reject(
            @Name(value = "ids", description = IDS) List<String> ids,
            @Name(value = "by", description = BY) String by,
            @Name(value = "reason", defaultValue = "", description = REASON) String reason) {
        return decide("reject", ids, by, reason);
    }

    @Procedure(name = "kgsync.undo", mode = Mode.WRITE, eager = true)
    @Description("Takes back what a reviewer decided, with the relationships that accepting made, and no other.")
    public Stream<Decision> undo(
            @Name(value = "ids", description = IDS) List<String> ids,
            @Name(value = "by", description = "Name of the reviewer who decided.") String by) {
        return decide("undo", ids, by, "");
    }

    private Stream<Decision> decide(String action, List<String> prefixes, String by, String reason) {
        if (by == null || by.isBlank()) {
            throw new IllegalArgumentException(
                    "kgsync." + action + " needs a reviewer; give your name as the argument by");
        }
        List<String> ids = Ids.find(tx, prefixes);
        Map<String, Object> parameters = new HashMap<>();
        parameters.put("by", by);
        parameters.put("reason", reason == null || reason.isBlank() ? null : reason);
        parameters.put("statuses", LIVE);
        parameters.put("ids", ids);
        List<Decision> decisions = new ArrayList<>(); // all of them, however few rows are asked for
        try (Result rows = tx.execute(Statement.load("review/" + action).text(), parameters)) {
            while (rows.hasNext()) {
                Map<String, Object> row = rows.next();
                refuseAnotherType(row);
                decisions.add(new Decision(row));
            }
        }
        return decisions.stream();
    }

    /** Early patches of Neo4j 5.26 keep the first type of a statement (neo4j/neo4j#13597): then nothing is accepted. */
    private static void refuseAnotherType(Map<String, Object> row) {
        Object made = row.get("made");
        Object wanted = ((Relationship) row.get("p")).getProperty("relation", null);
        if (made != null && !made.equals(wanted)) {
            throw new IllegalStateException("this server made a " + made + " of what should become a " + wanted
                    + "; upgrade it to Neo4j 5.26.4 or newer");
        }
    }

    /** What became of one edge. */
    public static final class Decision {
        @Description("The head of the edge.")
        public final Node h;

        @Description("The predicted edge.")
        public final Relationship p;

        @Description("The tail of the edge.")
        public final Node t;

        @Description("The id of the edge.")
        public final String id;

        @Description("One of done, already true, unchanged, refused.")
        public final String outcome;

        @Description("What the edge is now, or why it stays as it was.")
        public final String message;

        Decision(Map<String, Object> row) {
            h = (Node) row.get("h");
            p = (Relationship) row.get("p");
            t = (Node) row.get("t");
            id = (String) row.get("id");
            outcome = (String) row.get("outcome");
            message = (String) row.get("message");
        }
    }
}
