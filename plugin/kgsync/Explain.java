package kgsync;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
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

/** `kgsync.explain`: the statement `browse/why`. */
public final class Explain {

    @Context
    public Transaction tx;

    @Procedure(name = "kgsync.explain", mode = Mode.READ)
    @Description("Shows why an edge is predicted: the edge, and the known facts around it.")
    public Stream<Explanation> explain(
            @Name(value = "id", description = "Id of the predicted edge; its first characters suffice.") String id) {
        // not List.of, which refuses a null before we can say what is wrong
        String whole = Ids.find(tx, Collections.singletonList(id)).get(0);
        List<Explanation> found;
        try (Result rows = tx.execute(Statement.load("browse/why").text(), Map.of("id", whole))) {
            found = rows.stream().map(Explanation::new).toList();
        }
        return found.stream();
    }

    /** What `kgsync.explain` returns. */
    public static final class Explanation {
        @Description("The head of the edge.")
        public final Node h;

        @Description("The predicted edge, with its score and what it rests on.")
        public final Relationship p;

        @Description("The tail of the edge.")
        public final Node t;

        @Description("The known facts around the edge, by what they are.")
        public final Map<String, Object> why;

        Explanation(Map<String, Object> row) {
            h = (Node) row.get("h");
            p = (Relationship) row.get("p");
            t = (Node) row.get("t");
            why = new TreeMap<>(row);
            why.keySet().removeAll(List.of("h", "p", "t"));
        }
    }
}
