//! Keys of `callbackNotification`.

use super::Scope::Callback;
use super::{Key, Kind, REQUIRED};

pub(super) const KEYS: &[Key] = &[
    Key::legacy(
        "url",
        &[Callback],
        Kind::Url,
        REQUIRED,
        "Where callbacks are posted; `http://` may be left out.",
        "回调地址；可以省略 `http://`。",
    ),
    Key::new(
        "secret",
        &[Callback],
        Kind::Secret,
        "",
        "Signs callbacks (Standard Webhooks): `whsec_` and the base64 of 24 to 64 random bytes.",
        "回调签名密钥（Standard Webhooks）：`whsec_` 加上 24 到 64 个随机字节的 base64。",
    ),
    Key::new(
        "timeout",
        &[Callback],
        Kind::Duration,
        "\"10s\"",
        "Time limit of one callback, from connecting to the last byte of the answer.",
        "单次回调的时限，从建立连接到收完应答。",
    ),
    Key::new(
        "body",
        &[Callback],
        Kind::Word(&["full", "row", "diff"]),
        "\"full\"",
        "What is sent: {type, srcColumn}, the bare row, or {type, srcColumn, changed}.",
        "发送的内容：{type, srcColumn}、仅源行，或 {type, srcColumn, changed}。",
    ),
    Key::new(
        "values",
        &[Callback],
        Kind::Word(&["text", "json"]),
        "\"text\"",
        "How values are written: as text or null, or as JSON numbers and booleans where these are exact.",
        "值的写法：文本或 null；或在不失真时用 JSON 数字和布尔值。",
    ),
    Key::new(
        "concurrency",
        &[Callback],
        Kind::Number { least: 1, most: 1024 },
        "",
        "Callbacks open at the same time. Without it: `workerNumber`, at least 4.",
        "同时进行的回调数。不写时取 `workerNumber`，至少为 4。",
    ),
];
