package kgsync;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
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
 * `kgsync.validate`: the checks of `validate/`. It reports; quarantine is the step of the command `kgsync validate`.
 *
 * What that command learns from the graph about its relations, this takes as parameters: a check that lacks one does
 * not run, and a row of severity info says so.
 */
public final class Validate {

    private static final String KNOWN = "known"; // the one parameter that the counts of the graph give at once

    @Context
    public Transaction tx;

    @Procedure(name = "kgsync.validate", mode = Mode.READ)
    @Description("Checks the predicted edges, and reports what is wrong in the columns of a SHACL report.")
    public Stream<Finding> validate(
            @Name(value = "check", defaultValue = "", description = "Name of the check; empty for all.") String check,
            @Name(
                            value = "parameters",
                            defaultValue = "{}",
                            description = "What checks take, as `kgsync validate --json` shows it for each check.")
                    Map<String, Object> parameters) {
        List<Statement> checks = Statement.checks().stream()
                .map(name -> Statement.load("validate/" + name))
                .filter(each -> check == null || check.isEmpty() || nameOf(each).equals(check))
                .toList();
        if (checks.isEmpty()) {
            throw new IllegalArgumentException("there is no check " + check + "; take one of " + names());
        }
        Map<String, Object> given = new HashMap<>(parameters == null ? Map.of() : parameters);
        if (!given.containsKey(KNOWN) && checks.stream().anyMatch(each -> each.parameters().contains(KNOWN))) {
            given.put(KNOWN, known());
        }
        return checks.stream().flatMap(each -> findings(each, given));
    }

    private Stream<Finding> findings(Statement check, Map<String, Object> given) {
        Set<String> missing = check.parameters();
        missing.removeAll(given.keySet());
        if (!missing.isEmpty()) {
            String needs = missing.stream().map(name -> "$" + name).collect(Collectors.joining(" and "));
            String message = "did not run: it needs " + needs + "; give it in parameters, or run `kgsync validate`";
            return Stream.of(new Finding(nameOf(check), "info", Map.of("message", message)));
        }
        String severity = check.header().getOrDefault("severity", "warning");
        return tx.execute(check.text(), given).stream().map(row -> new Finding(nameOf(check), severity, row));
    }

    private static String nameOf(Statement check) {
        return check.header().getOrDefault("name", check.name().substring("validate/".length()));
    }

    private static String names() {
        return Statement.checks().stream()
                .map(name -> nameOf(Statement.load("validate/" + name)))
                .collect(Collectors.joining(", "));
    }

    /** Returns how many relationships of each type there are, from the count store. */
    private Map<String, Object> known() {
        List<String> types = new ArrayList<>();
        try (Result rows = tx.execute(Statement.load("pull/types").text())) {
            rows.<String>columnAs("relation").forEachRemaining(types::add);
        }
        Map<String, Object> counts = new HashMap<>();
        Statement statement = Statement.load("inspect/relation_counts");
        for (String type : types) {
            if (type.contains("\\") || type.chars().anyMatch(Character::isISOControl)) {
                continue; // kgsync quotes no such name
            }
            String count = "COUNT { ()-[:`" + type.replace("`", "``") + "`]->() }";
            try (Result rows = tx.execute(statement.replacing("{{counts}}", count))) {
                Object number = rows.<List<?>>columnAs("counts").next().get(0);
                if (!number.equals(0L)) {
                    counts.put(type, number);
                }
            }
        }
        return counts;
    }

    /** One row of a report; what does not apply is null. */
    public static final class Finding {
        @Description("The name of the check.")
        public final String check;

        @Description("One of error, warning, info.")
        public final String severity;

        @Description("The head of the edge, or the node that the finding is about.")
        public final Node focus;

        @Description("The edge.")
        public final Relationship p;

        @Description("The tail of the edge.")
        public final Node t;

        @Description("The id of the edge.")
        public final String id;

        @Description("The relation, or the property.")
        public final String path;

        @Description("The value that is wrong.")
        public final Object value;

        @Description("What is wrong.")
        public final String message;

        Finding(String check, String severity, Map<String, Object> row) {
            this.check = check;
            this.severity = severity;
            focus = (Node) row.get("h");
            p = (Relationship) row.get("p");
            t = (Node) row.get("t");
            id = Objects.toString(row.get("id"), null);
            path = Objects.toString(row.get("path"), null);
            value = row.get("value");
            message = Objects.toString(row.get("message"), null);
        }
    }
}
