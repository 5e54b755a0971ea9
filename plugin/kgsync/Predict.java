package kgsync;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.neo4j.graphdb.Label;
import org.neo4j.graphdb.Node;
import org.neo4j.graphdb.ResourceIterator;
import org.neo4j.graphdb.Result;
import org.neo4j.graphdb.Transaction;
import org.neo4j.procedure.Context;
import org.neo4j.procedure.Description;
import org.neo4j.procedure.Mode;
import org.neo4j.procedure.Name;
import org.neo4j.procedure.Procedure;

/** `kgsync.predict`: the statements of `browse/live`, asked for a node at hand instead of one that a key finds. */
public final class Predict {

    @Context
    public Transaction tx;

    @Procedure(name = "kgsync.predict", mode = Mode.READ)
    @Description("Ranks the tails, or heads, of new edges by the vectors that `kgsync embed` wrote. Writes nothing.")
    public Stream<Answer> predict(
            @Name(value = "entity", description = "The known end.") Node entity,
            @Name(value = "relation", description = "The relation of the edges.") String relation,
            @Name(value = "k", defaultValue = "10", description = "How many answers.") Long k,
            @Name(value = "heads", defaultValue = "false", description = "Ask for heads; the entity is the tail.")
                    Boolean heads) {
        if (entity == null || relation == null || k == null || k < 1 || heads == null) {
            throw new IllegalArgumentException(
                    "kgsync.predict needs an entity, a relation and a k of 1 or more; check what is passed to it");
        }
        String end = heads ? "t" : "h";
        String text = Statement.load(heads ? "browse/live/best-heads" : "browse/live/best-tails")
                .replacing(
                        "MATCH (" + end + ":$($label))\nWHERE " + end + "[$key] = $value AND",
                        "WITH m, r, $entity AS " + end + "\nWHERE");
        List<Answer> answers;
        try (Result rows = tx.execute(text, Map.of("entity", entity, "relation", relation, "k", k))) {
            answers = rows.stream().map(Answer::new).toList();
        }
        if (answers.isEmpty()) {
            refuseWhatCannotBeAsked(entity, relation);
        }
        return answers.stream();
    }

    /** Says what is missing for an answer; nothing, if there just is none left. */
    private void refuseWhatCannotBeAsked(Node entity, String relation) {
        String model = nodes("__KgsyncModel").stream()
                .filter(node -> node.hasProperty("embeddedAt"))
                .map(node -> (String) node.getProperty("id"))
                .findAny()
                .orElseThrow(() -> new IllegalArgumentException(
                        "no model's vectors are in this graph; put them there with `kgsync embed --yes`"));
        List<String> relations = nodes("__KgsyncRelationVector").stream()
                .map(node -> (String) node.getProperty("relation"))
                .sorted()
                .toList();
        if (!relations.contains(relation)) {
            throw new IllegalArgumentException("the model " + model + " knows no relation " + relation
                    + "; ask for one of " + relations.stream().limit(20).collect(Collectors.joining(", ")));
        }
        if (!model.equals(entity.getProperty("kgsyncModelId", null))) {
            throw new IllegalArgumentException("the entity has no vector of the model " + model
                    + "; ask for one that has, or write them anew with `kgsync embed --yes`");
        }
    }

    private List<Node> nodes(String label) {
        try (ResourceIterator<Node> found = tx.findNodes(Label.label(label))) {
            return found.stream().toList();
        }
    }

    /** An edge that may be missing. */
    public static final class Answer {
        @Description("The head of the edge.")
        public final Node h;

        @Description("The tail of the edge.")
        public final Node t;

        @Description("The model's own value, to compare within one call only; no probability.")
        public final Double kgeScore;

        Answer(Map<String, Object> row) {
            h = (Node) row.get("h");
            t = (Node) row.get("t");
            kgeScore = (Double) row.get("kgeScore");
        }
    }
}
