import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * A receiver for cupid's callbacks that appends each of them to a file, one JSON line a callback.
 *
 * <pre>OUT=callbacks.jsonl java Receiver.java 20000</pre>
 *
 * Java 11 or newer, JDK only. Settings are environment variables:
 * PORT    port on 127.0.0.1, if not given as the argument;
 * SECRET  whsec_...; callbacks without its signature are refused with 401;
 * OUT     the file; replace {@link #keep} by your own upsert and you do not need it.
 */
public final class Receiver {
    private static final long TOLERANCE = 300; // seconds a timestamp may be off
    private static final int BODY_LIMIT = 16 * 1024 * 1024;
    private static final int REMEMBERED = 10_000; // deliveries whose revision is kept in memory
    private static final Pattern MESSAGE_ID = Pattern.compile("([!-~]{1,200})-([0-9]{1,18})");

    private final byte[] key; // null: signatures are not checked
    private final Path out;
    /** Delivery to newest revision written; the first to come is the first forgotten. */
    private final Map<String, Long> written = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Long> eldest) {
            return size() > REMEMBERED;
        }
    };

    private Receiver(byte[] key, Path out) {
        this.key = key;
        this.out = out;
    }

    /** What is wrong with a callback; the text holds no values. */
    private static final class Malformed extends Exception {
        private static final long serialVersionUID = 1;

        Malformed(String reason) {
            super(reason);
        }
    }

    /**
     * Makes the callback last: put your upsert by key here. An exception makes cupid come again.
     *
     * @param row the source's row, or for type 3 the copy's; values are String or null,
     *     with "values": "json" also Double, Long or Boolean
     */
    private void keep(String id, long type, Map<String, Object> row, String body) throws IOException {
        // Line ends are only ever between the tokens of a valid JSON text.
        String line = "{\"id\":\"" + id.replace("\\", "\\\\").replace("\"", "\\\"") + "\",\"body\":"
                + body.replace('\n', ' ').replace('\r', ' ') + "}\n";
        Files.write(out, line.getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE,
                StandardOpenOption.APPEND);
    }

    /** Keeps one callback unless the same or a newer one of this row is kept already. */
    private synchronized void receive(String id, byte[] bytes) throws Malformed, IOException {
        Matcher name = MESSAGE_ID.matcher(id);
        if (!name.matches()) {
            throw new Malformed("webhook-id is not <delivery>-<revision>");
        }
        String body;
        Object parsed;
        try {
            body = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
            parsed = new Json(body).whole();
        } catch (CharacterCodingException | IllegalArgumentException e) {
            throw new Malformed("the body is not JSON");
        }
        Map<String, Object> callback = object(parsed, "the body");
        Object type = callback.get("type");
        if (!Long.valueOf(1).equals(type) && !Long.valueOf(2).equals(type) && !Long.valueOf(3).equals(type)) {
            throw new Malformed("type is not 1, 2 or 3");
        }
        String side = Long.valueOf(3).equals(type) ? "desColumn" : "srcColumn";
        Map<String, Object> row = object(callback.get(side), side);
        String delivery = name.group(1);
        long revision = Long.parseLong(name.group(2));
        if (revision <= written.getOrDefault(delivery, -1L)) {
            return;
        }
        keep(id, (Long) type, row, body);
        written.put(delivery, revision); // only now: what failed must be accepted when it comes again
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(Object value, String what) throws Malformed {
        if (!(value instanceof Map)) {
            throw new Malformed(what + " is not an object");
        }
        return (Map<String, Object>) value;
    }

    /** Whether one of the signatures is ours and the timestamp is near. */
    private boolean signed(HttpExchange call, byte[] body) throws GeneralSecurityException {
        String stamp = header(call, "webhook-timestamp");
        if (!stamp.matches("[0-9]{1,12}")
                || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(stamp)) > TOLERANCE) {
            return false;
        }
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        mac.update((header(call, "webhook-id") + "." + stamp + ".").getBytes(StandardCharsets.ISO_8859_1));
        String wanted = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
        boolean good = false;
        for (String given : header(call, "webhook-signature").split(" ")) {
            good |= MessageDigest.isEqual(bytes(wanted), bytes(given)); // in constant time
        }
        return good;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String header(HttpExchange call, String name) {
        String value = call.getRequestHeaders().getFirst(name);
        return value == null ? "" : value;
    }

    private void handle(HttpExchange call) throws IOException {
        try {
            if (!call.getRequestMethod().equals("POST")) {
                call.getResponseHeaders().set("Allow", "POST");
                answer(call, 405, "cupid sends POST");
                return;
            }
            String length = header(call, "Content-Length");
            if (length.matches("[0-9]{1,12}") && Long.parseLong(length) > BODY_LIMIT) {
                answer(call, 413, "the body is too large");
                return;
            }
            byte[] body = call.getRequestBody().readNBytes(BODY_LIMIT + 1);
            if (body.length > BODY_LIMIT) {
                answer(call, 413, "the body is too large");
            } else if (key != null && !signed(call, body)) {
                answer(call, 401, "the signature or its timestamp is wrong");
            } else {
                receive(header(call, "webhook-id"), body);
                call.sendResponseHeaders(204, -1);
            }
        } catch (Malformed e) {
            answer(call, 400, e.getMessage());
        } catch (IOException | GeneralSecurityException | RuntimeException e) {
            System.err.println("not written: " + e);
            answer(call, 500, "not written");
        } finally {
            call.close();
        }
    }

    private static void answer(HttpExchange call, int status, String reason) throws IOException {
        byte[] text = (reason + "\n").getBytes(StandardCharsets.UTF_8);
        call.getResponseHeaders().set("Content-Type", "text/plain");
        call.sendResponseHeaders(status, text.length);
        call.getResponseBody().write(text);
        call.getResponseBody().flush(); // before the rest of a large body has come
    }

    /** Reads JSON, strictly. Drop it if you have a JSON library. */
    private static final class Json {
        private static final Pattern NUMBER = Pattern.compile("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?");
        private final String text;
        private int at;
        private int depth;

        Json(String text) {
            this.text = text;
        }

        Object whole() {
            Object value = value();
            if (at < text.length()) {
                throw new IllegalArgumentException();
            }
            return value;
        }

        private Object value() {
            if (++depth > 100) {
                throw new IllegalArgumentException();
            }
            blanks();
            Object value;
            if (take('{')) {
                Map<String, Object> fields = new LinkedHashMap<>();
                for (boolean more = !take('}'); more; more = more('}')) {
                    blanks();
                    String name = string();
                    blanks();
                    need(take(':'));
                    fields.put(name, value());
                }
                value = fields;
            } else if (take('[')) {
                List<Object> items = new ArrayList<>();
                for (boolean more = !take(']'); more; more = more(']')) {
                    items.add(value());
                }
                value = items;
            } else if (text.startsWith("\"", at)) {
                value = string();
            } else if (word("null")) {
                value = null;
            } else if (word("true") || word("false")) {
                value = text.charAt(at - 2) == 'u';
            } else {
                value = number();
            }
            blanks();
            depth--;
            return value;
        }

        private boolean more(char end) {
            if (take(',')) {
                return true;
            }
            need(take(end));
            return false;
        }

        private Object number() {
            Matcher number = NUMBER.matcher(text).region(at, text.length());
            need(number.lookingAt());
            at = number.end();
            if (number.group(2) == null && number.group(3) == null && number.group().length() < 19) {
                return Long.valueOf(number.group());
            }
            return Double.valueOf(number.group());
        }

        private String string() {
            need(take('"'));
            StringBuilder out = new StringBuilder();
            while (true) {
                need(at < text.length());
                char c = text.charAt(at++);
                if (c == '"') {
                    return out.toString();
                }
                need(c >= ' ');
                if (c == '\\') {
                    need(at < text.length());
                    char escape = text.charAt(at++);
                    int plain = "\"\\/bfnrt".indexOf(escape);
                    if (escape == 'u') {
                        need(text.substring(at, Math.min(at + 4, text.length())).matches("[0-9a-fA-F]{4}"));
                        c = (char) Integer.parseInt(text.substring(at, at + 4), 16);
                        at += 4;
                    } else {
                        need(plain >= 0);
                        c = "\"\\/\b\f\n\r\t".charAt(plain);
                    }
                }
                out.append(c);
            }
        }

        private void blanks() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
                at++;
            }
        }

        private boolean take(char c) {
            blanks();
            boolean found = at < text.length() && text.charAt(at) == c;
            at += found ? 1 : 0;
            return found;
        }

        private boolean word(String word) {
            boolean found = text.startsWith(word, at);
            at += found ? word.length() : 0;
            return found;
        }

        private static void need(boolean met) {
            if (!met) {
                throw new IllegalArgumentException();
            }
        }
    }

    private static String env(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    /** The bytes behind whsec_, or null if there is no secret. */
    private static byte[] secretKey(String secret) {
        if (secret.isEmpty()) {
            return null;
        }
        byte[] key;
        try {
            key = Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""));
        } catch (IllegalArgumentException e) {
            key = new byte[0];
        }
        if (!secret.startsWith("whsec_") || key.length < 24) {
            throw new IllegalArgumentException("SECRET must be whsec_ and the base64 of at least 24 bytes");
        }
        return key;
    }

    public static void main(String[] args) {
        System.setProperty("sun.net.httpserver.nodelay", "true"); // else each answer waits 40 ms
        System.setProperty("sun.net.httpserver.maxReqTime", "30"); // seconds
        int port = Integer.parseInt(args.length > 0 ? args[0] : env("PORT", "20000"));
        try {
            byte[] key = secretKey(env("SECRET", ""));
            Path out = Path.of(env("OUT", "callbacks.jsonl"));
            Receiver receiver = new Receiver(key, out);
            HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 128);
            server.createContext("/", receiver::handle);
            server.setExecutor(Executors.newFixedThreadPool(16));
            server.start();
            System.out.println("listening on " + server.getAddress() + ", signatures checked: " + (key != null));
        } catch (IOException | IllegalArgumentException e) {
            System.err.println("receiver: " + e.getMessage());
            System.exit(1);
        }
    }
}
