<?php
/*
 * A receiver for cupid's callbacks that appends each of them to a file, one JSON line a callback.
 *
 *     OUT=callbacks.jsonl php -d display_errors=0 -d post_max_size=16M -S 127.0.0.1:20000 receiver.php
 *
 * PHP 8.0 or newer, no extensions or packages. The same file works under php-fpm. Keep display_errors off: a warning
 * that PHP prints before this file runs makes every answer a 200. Settings are environment variables:
 *     SECRET  whsec_...; callbacks without its signature are refused with 401
 *     OUT     the file; replace keep() by your own upsert and you do not need it
 */
declare(strict_types=1);

const TOLERANCE = 300; // seconds a timestamp may be off
const BODY_LIMIT = 16 * 1024 * 1024;
const REMEMBERED = 1000; // deliveries whose revision is kept, in the file <OUT>.seen

/** Makes the callback last: put your upsert by key here. An exception makes cupid come again. */
function keep(string $out, string $id, string $body, stdClass $callback): void
{
    // Line ends are only ever between the tokens of a valid JSON text.
    $line = '{"id":' . json_encode($id, JSON_THROW_ON_ERROR) . ',"body":' . strtr($body, "\r\n", '  ') . "}\n";
    if (@file_put_contents($out, $line, FILE_APPEND) !== strlen($line)) {
        throw new RuntimeException('cannot append to OUT');
    }
}

/** Keeps one callback unless the same or a newer one of this row is kept already. */
function receive(string $out, string $id, string $body, stdClass $callback): void
{
    preg_match('/^(.+)-([0-9]+)$/D', $id, $part);
    [, $delivery, $revision] = $part;
    $seen = @fopen("$out.seen", 'c+');
    if (!$seen || !flock($seen, LOCK_EX)) { // one callback is checked and written at a time
        throw new RuntimeException('cannot lock OUT.seen');
    }
    $written = json_decode((string) stream_get_contents($seen), true);
    $written = is_array($written) ? $written : [];
    if ((int) $revision <= ($written["d$delivery"] ?? -1)) {
        return;
    }
    keep($out, $id, $body, $callback);
    unset($written["d$delivery"]); // only now: what failed must be accepted when it comes again
    $written["d$delivery"] = (int) $revision;
    rewind($seen);
    ftruncate($seen, 0);
    fwrite($seen, json_encode(array_slice($written, -REMEMBERED), JSON_THROW_ON_ERROR));
}

/** The bytes behind whsec_. */
function secret_key(string $secret): string
{
    $key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6), true) : false;
    if ($key === false || strlen($key) < 24) {
        throw new RuntimeException('SECRET must be whsec_ and the base64 of at least 24 bytes');
    }
    return $key;
}

/** Whether one of the signatures is ours and the timestamp is near. */
function signed(string $key, string $id, string $stamp, string $signatures, string $body): bool
{
    if (!preg_match('/^[0-9]{1,12}$/D', $stamp) || abs(time() - (int) $stamp) > TOLERANCE) {
        return false;
    }
    $wanted = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$stamp.$body", $key, true));
    $good = false;
    foreach (explode(' ', $signatures) as $given) {
        $good = hash_equals($wanted, $given) || $good; // in constant time
    }
    return $good;
}

/** What is wrong with the callback, or null. Decoded as objects, for an empty array is no row. */
function problem(string $id, mixed $callback): ?string
{
    if (!preg_match('/^[!-~]{1,200}-[0-9]{1,18}$/D', $id)) {
        return 'webhook-id is not <delivery>-<revision>';
    }
    if (!$callback instanceof stdClass) {
        return 'the body is not a JSON object';
    }
    if (!in_array($callback->type ?? null, [1, 2, 3], true)) {
        return 'type is not 1, 2 or 3';
    }
    $side = $callback->type === 3 ? 'desColumn' : 'srcColumn';
    return ($callback->$side ?? null) instanceof stdClass ? null : "$side is not an object";
}

function answer(int $status, string $reason = ''): void
{
    http_response_code($status);
    if ($status !== 204) {
        header('Content-Type: text/plain');
        echo $reason, "\n";
    }
}

function main(): void
{
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        header('Allow: POST');
        answer(405, 'cupid sends POST');
        return;
    }
    $body = (string) file_get_contents('php://input', false, null, 0, BODY_LIMIT + 1);
    if (strlen($body) > BODY_LIMIT) {
        answer(413, 'the body is too large');
        return;
    }
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $stamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';
    $secret = (string) getenv('SECRET');
    if ($secret !== '' && !signed(secret_key($secret), $id, $stamp, $signatures, $body)) {
        answer(401, 'the signature or its timestamp is wrong');
        return;
    }
    $callback = json_decode($body, false, 100, JSON_BIGINT_AS_STRING);
    $problem = problem($id, $callback);
    if ($problem !== null) {
        answer(400, $problem);
        return;
    }
    receive(getenv('OUT') ?: 'callbacks.jsonl', $id, $body, $callback);
    answer(204);
}

ini_set('display_errors', '0');
http_response_code(500); // until we know better: a fatal error must not look like success
try {
    main();
} catch (Throwable $error) {
    error_log('not written: ' . $error->getMessage());
    answer(500, 'not written');
}
