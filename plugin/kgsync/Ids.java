package kgsync;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.neo4j.graphdb.Result;
import org.neo4j.graphdb.Transaction;

/** The ids of predicted edges, of which a person gives as many characters as make them unique. */
final class Ids {

    private static final int SHORTEST = 4; // characters

    private Ids() {}

    /** Returns the ids that start with each of the prefixes, sorted: every writer locks in the same order. */
    static List<String> find(Transaction tx, List<String> prefixes) {
        if (prefixes == null) {
            throw new IllegalArgumentException("the ids are null; give a list of them");
        }
        for (String prefix : prefixes) {
            if (prefix == null || prefix.length() < SHORTEST) {
                throw new IllegalArgumentException(
                        "the id " + prefix + " is too short; give " + SHORTEST + " characters or more");
            }
        }
        Set<String> found = new TreeSet<>();
        try (Result rows = tx.execute(Statement.load("review/ids").text(), Map.of("prefixes", prefixes))) {
            rows.forEachRemaining(row -> found.add(only((String) row.get("prefix"), (List<?>) row.get("ids"))));
        }
        return List.copyOf(found);
    }

    private static String only(String prefix, List<?> ids) {
        if (ids.isEmpty()) {
            throw new IllegalArgumentException("no predicted edge has the id " + prefix
                    + "; look with MATCH ()-[p:PREDICTED]->() RETURN p.id, p.relation, p.status LIMIT 25");
        }
        if (ids.size() > 1) {
            throw new IllegalArgumentException(
                    "several predicted edges have ids that start with " + prefix + "; give more of it");
        }
        return (String) ids.get(0);
    }
}
