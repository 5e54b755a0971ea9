package kgsync;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One file of `cypher/`, of which the jar carries a copy: its header fields, and its text without the header. */
record Statement(String name, Map<String, String> header, String text) {

    private static final Pattern FIELD = Pattern.compile("^//\\s*([a-z][a-z ]*):\\s*(.*)$");
    private static final Pattern PARAMETER = Pattern.compile("\\$(\\w+)");

    /** Returns the statement `name`, for example `review/accept`. */
    static Statement load(String name) {
        Map<String, String> header = new HashMap<>();
        StringBuilder text = new StringBuilder();
        for (String line : read("cypher/" + name + ".cypher").lines().toList()) {
            Matcher field = FIELD.matcher(line);
            if (text.isEmpty() && line.startsWith("//")) {
                if (field.matches()) {
                    header.put(field.group(1), field.group(2).strip());
                }
            } else {
                text.append(line).append('\n');
            }
        }
        return new Statement(name, header, text.toString().strip().replaceFirst(";$", ""));
    }

    /** Returns the names of the checks in `cypher/validate`. */
    static List<String> checks() {
        return read("checks.txt").lines().toList();
    }

    /** Returns the parameters that the text takes. */
    Set<String> parameters() {
        Set<String> names = new TreeSet<>();
        PARAMETER.matcher(text).results().forEach(match -> names.add(match.group(1)));
        return names;
    }

    /** Returns the text with `part` of it, which must be there, replaced. */
    String replacing(String part, String by) {
        if (!text.contains(part)) {
            throw new IllegalStateException(
                    "cypher/" + name + ".cypher is not as the plugin expects it; adapt what it replaces");
        }
        return text.replace(part, by);
    }

    private static String read(String path) {
        try (InputStream stream = Statement.class.getResourceAsStream(path)) {
            if (stream == null) {
                throw new IllegalStateException("the plugin's jar holds no " + path + "; install it anew");
            }
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
