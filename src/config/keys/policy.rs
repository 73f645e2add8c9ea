//! Tasks, and the policies whose nearest setting wins: `des`, then the task, its connection, the top level.

use super::Scope::{Connection, Destination, Retry, Source, Task, Top};
use super::{Key, Kind, REQUIRED, Status};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "connections",
        &[Top],
        Kind::Map(Connection),
        "",
        "Databases that several places share: a name of your choice, then `dsn` and policies. A place refers to it by `use`.",
        "多处共用的数据库：自取的名字，以及 `dsn` 和策略。用 `use` 引用。",
    ),
    Key::new(
        "tasks",
        &[Top],
        Kind::Map(Task),
        "",
        "Several tasks in one process: a name of your choice, then `src`, `des` and policies. Either `tasks`, or `src` and `des` at the top level (one task called `main`).",
        "一个进程中的多个任务：自取的名字，以及 `src`、`des` 和策略。要么写 `tasks`，要么在顶层写 `src` 和 `des`（即名为 `main` 的一个任务）。",
    ),
    Key::legacy(
        "src",
        &[Top, Task],
        Kind::Object(Source),
        REQUIRED,
        "The table whose rows are true.",
        "源表：以它的数据为准。",
    ),
    Key::legacy(
        "des",
        &[Top, Task],
        Kind::List(Destination),
        REQUIRED,
        "The copies that must agree with it, one or more.",
        "目标表：必须与源表一致的一个或多个副本。",
    ),
    Key::new(
        "callbacks",
        &[Destination, Task, Connection, Top],
        Kind::Switch,
        "\"on\"",
        "\"off\": differences are found, kept and counted, but nothing is sent.",
        "\"off\" 表示只查找、保存并统计差异，不发送回调。",
    ),
    Key::legacy(
        "failureJobRetrySecond",
        &[Top],
        Kind::Number { least: 1, most: 86_400 },
        "10",
        "Seconds until a failed callback is tried again; `retry` says more.",
        "回调失败后重试的间隔秒数；更多设置见 `retry`。",
    ),
    Key::new(
        "retry",
        &[Destination, Task, Connection, Top],
        Kind::Object(Retry),
        "",
        "When failed callbacks are tried again. The nearest `retry` counts as a whole; they are not merged.",
        "回调失败后何时重试。以最近一层的 `retry` 整体为准，不会合并。",
    ),
    Key::new(
        "delay",
        &[Retry],
        Kind::Duration,
        "",
        "Pause before each quick try. Without it: `failureJobRetrySecond`.",
        "每次快速重试前的等待时间。不写时取 `failureJobRetrySecond`。",
    ),
    Key::new(
        "tries",
        &[Retry],
        Kind::Number { least: 0, most: 1000 },
        "3",
        "Quick tries after the first attempt.",
        "首次尝试之后的快速重试次数。",
    ),
    Key::new(
        "then",
        &[Retry],
        Kind::Then,
        "\"every 10m\"",
        "What comes when they are used up: tried at that interval for ever, or \"dead\" (a person decides).",
        "快速重试用完之后：按该间隔一直重试，或 \"dead\"（等待人工处理）。",
    ),
    Key::new(
        "verify",
        &[Destination, Task, Connection, Top],
        Kind::DurationOrFalse,
        "\"30s\"",
        "How long the copy is looked at after the receiver said yes, until it agrees; false: an answer 2xx ends the matter.",
        "接收方应答成功后继续观察副本直至一致的最长时间；false 表示应答 2xx 即结束。",
    ),
    Key::new(
        "zone",
        &[Source, Task, Connection, Top],
        Kind::Zone,
        "",
        "Zone of date and time columns that carry none. Without it: the default zone of the database server.",
        "不带时区的日期时间列所用的时区。不写时取数据库服务器的默认时区。",
    ),
    Key {
        status: Status::Unneeded("callbacks are sent as soon as they are due"),
        ..Key::php(
            "callbackWorkerIntervalMillisecond",
            &[Top],
            Kind::Number { least: 0, most: 86_400_000 },
            "",
            "A key of the PHP edition; accepted and not needed.",
            "PHP 版的键；可以保留，但不需要。",
        )
    },
    Key {
        status: Status::Unneeded("rows are compared as soon as they are found"),
        ..Key::php(
            "taskWorkerIntervalMillisecond",
            &[Top],
            Kind::Number { least: 0, most: 86_400_000 },
            "",
            "A key of the PHP edition; accepted and not needed.",
            "PHP 版的键；可以保留，但不需要。",
        )
    },
];
