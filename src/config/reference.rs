//! The reference of all keys as Markdown; made from the table of keys.

use std::fmt::Write as _;

use super::keys::{self, Key, Kind, REQUIRED, Scope, TO_COMPARE};

/// Language of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Chinese.
    Zh,
}

const INTRO_EN: &str = "\
# Configuration

<!-- Made from the table of keys in src/config/keys; a test holds that. -->

The file is JSON; comments (`//`, `/* */`) and trailing commas are allowed. A configuration of cupid-go is a complete
file: see [config.example.json](../config.example.json). `cupid check -c FILE` reports every mistake with its line,
`cupid explain -c FILE` prints the effective configuration and where each value comes from, `cupid schema` prints a
JSON Schema for editors.

- **One task or many.** `src` and `des` at the top level are one task, called `main`. `tasks` holds several. A task has
  one source and one or more destinations.
- **The nearest setting wins**: `retry`, `verify`, `callbacks`, `keep` and `zone` may stand on a destination (or source), on the
  task, on its entry of `connections`, or at the top level, and count in this order. Objects replace each other; they
  are not merged.
- **Durations** carry a unit: `\"500ms\"`, `\"1.5s\"`, `\"10m\"`, `\"2h\"`, `\"30d\"`. The older `…Second` and `…Millisecond` keys
  take plain numbers.
- **Values from outside**: `${NAME}` and `${NAME:-default}` stand for an environment variable, `${file:/path}` for the
  content of a file, anywhere inside a text. `$${` stands for `${`.
- **Databases** (`dsn`): `user:password@tcp(host:3306)/database?tls=true` and `user:password@unix(/path)/database` as in
  Go; `mysql://user:password@host/database?ssl-mode=required`; `postgres://user:password@host/database?sslmode=require`,
  with `host=/folder` for a socket; `sqlite:file.db` (relative to the configuration) or `sqlite:/path/file.db`; and
  PHP's `mysql:host=…;port=…;dbname=…` or `pgsql:…` with `user` and `password` beside it. Without `tls` or `sslmode`, an
  encrypted connection is used if the server offers it.

";

const INTRO_ZH: &str = "\
# 配置

<!-- 由 src/config/keys 中的键表生成，有测试保证一致。 -->

配置文件为 JSON，可以写注释（`//`、`/* */`）和行尾逗号。cupid-go 的配置文件可以原样使用，完整示例见
[config.example.json](../config.example.json)。`cupid check -c FILE` 按行报告全部错误；`cupid explain -c FILE`
打印最终生效的配置以及每个值的来源；`cupid schema` 打印供编辑器使用的 JSON Schema。

- **单个或多个任务**：顶层的 `src` 和 `des` 是一个名为 `main` 的任务；`tasks` 中可以写多个。每个任务有一个源和一个或多个目标。
- **最近者优先**：`retry`、`verify`、`callbacks`、`keep`、`zone` 可以写在目标（或源）、任务、所引用的 `connections` 项或顶层，按此顺序生效。对象整体替换，不会合并。
- **时长**带单位：`\"500ms\"`、`\"1.5s\"`、`\"10m\"`、`\"2h\"`、`\"30d\"`。旧的 `…Second`、`…Millisecond` 键写数字。
- **外部值**：文本中的 `${NAME}`、`${NAME:-默认值}` 取环境变量，`${file:/path}` 取文件内容；`$${` 表示字符 `${`。
- **数据库**（`dsn`）：Go 写法 `user:password@tcp(host:3306)/database?tls=true`、`user:password@unix(/path)/database`；
  `mysql://user:password@host/database?ssl-mode=required`；`postgres://user:password@host/database?sslmode=require`，
  用 `host=/目录` 走套接字；`sqlite:file.db`（相对于配置文件）或 `sqlite:/path/file.db`；以及 PHP 写法
  `mysql:host=…;port=…;dbname=…` 或 `pgsql:…`，旁边写 `user` 和 `password`。不写 `tls` 或 `sslmode` 时，服务器支持加密就用加密连接。

";

/// The reference.
pub fn reference(lang: Lang) -> String {
    let mut out = match lang {
        Lang::En => INTRO_EN,
        Lang::Zh => INTRO_ZH,
    }
    .to_owned();
    for scope in Scope::ALL {
        section(&mut out, scope, lang).expect("writing to a string cannot fail");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn section(out: &mut String, scope: Scope, lang: Lang) -> std::fmt::Result {
    writeln!(out, "## {}\n", title(scope, lang))?;
    out.push_str(match lang {
        Lang::En => "| key | takes | default | since | meaning |\n",
        Lang::Zh => "| 键 | 类型 | 默认值 | 始于 | 含义 |\n",
    });
    out.push_str("|---|---|---|---|---|\n");
    for key in keys::usable(scope) {
        let meaning = match lang {
            Lang::En => key.en,
            Lang::Zh => key.zh,
        };
        let (takes, default) = (takes(key.kind, lang), default(key, lang));
        writeln!(out, "| `{}` | {takes} | {default} | {} | {meaning} |", key.name, key.since)?;
    }
    out.push('\n');
    Ok(())
}

fn title(scope: Scope, lang: Lang) -> &'static str {
    match (scope, lang) {
        (Scope::Top, Lang::En) => "Top level",
        (Scope::Top, Lang::Zh) => "顶层",
        (Scope::Connection, Lang::En) => "An entry of `connections`",
        (Scope::Connection, Lang::Zh) => "`connections` 中的一项",
        (Scope::Task, Lang::En) => "An entry of `tasks`",
        (Scope::Task, Lang::Zh) => "`tasks` 中的一项",
        (Scope::Source, _) => "`src`",
        (Scope::Destination, Lang::En) => "An entry of `des`",
        (Scope::Destination, Lang::Zh) => "`des` 中的一项",
        (Scope::Column, Lang::En) => "An entry of `columns`",
        (Scope::Column, Lang::Zh) => "`columns` 中的一项",
        (Scope::Callback, _) => "`callbackNotification`",
        (Scope::Retry, _) => "`retry`",
        (Scope::Breaker, _) => "`breaker`",
        (Scope::Audit, _) => "`audit`",
        (Scope::Log, _) => "`log`",
        (Scope::Channel, Lang::En) => "An entry of `notify`",
        (Scope::Channel, Lang::Zh) => "`notify` 中的一项",
        (Scope::Mail, _) => "`mail`",
        (Scope::Wecom, _) => "`wecom`",
        (Scope::Dingtalk, _) => "`dingtalk`",
        (Scope::Feishu, _) => "`feishu`",
        (Scope::Serverchan, _) => "`serverchan`",
        (Scope::Pushplus, _) => "`pushplus`",
        (Scope::Slack, _) => "`slack`",
        (Scope::Telegram, _) => "`telegram`",
        (Scope::Discord, _) => "`discord`",
        (Scope::Teams, _) => "`teams`",
        (Scope::Pagerduty, _) => "`pagerduty`",
        (Scope::Webhook, _) => "`webhook`",
    }
}

fn default(key: &Key, lang: Lang) -> String {
    match (key.default, lang) {
        (REQUIRED, Lang::En) => "required".to_owned(),
        (REQUIRED, Lang::Zh) => "必填".to_owned(),
        (TO_COMPARE, Lang::Zh) => "比较时必填".to_owned(),
        ("", _) => String::new(),
        (json, _) if serde_json::from_str::<serde_json::Value>(json).is_ok() => format!("`{json}`"),
        (words, Lang::En) => words.to_owned(),
        (_, Lang::Zh) => "见含义".to_owned(),
    }
}

fn takes(kind: Kind, lang: Lang) -> String {
    let (en, zh) = match kind {
        Kind::Text | Kind::Template => ("text", "文本"),
        Kind::Name => ("name", "名字"),
        Kind::Path => ("path", "路径"),
        Kind::Bool => ("true, false", "true、false"),
        Kind::Switch => ("`\"on\"`, `\"off\"`", "`\"on\"`、`\"off\"`"),
        Kind::Number { least, most } => {
            return match lang {
                Lang::En => format!("number, {least} to {most}"),
                Lang::Zh => format!("数字，{least} 到 {most}"),
            };
        }
        Kind::Duration | Kind::Pause => ("duration", "时长"),
        Kind::DurationOrFalse => ("duration, false", "时长、false"),
        Kind::Word(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            return words.join(if lang == Lang::En { ", " } else { "、" });
        }
        Kind::Then => ("`\"every <duration>\"`, `\"dead\"`", "`\"every <时长>\"`、`\"dead\"`"),
        Kind::Dsn => ("data source name", "数据源"),
        Kind::Url => ("URL", "URL"),
        Kind::Hook => ("secret URL", "保密的 URL"),
        Kind::Texts => ("list of texts", "文本列表"),
        Kind::Events => ("list of events and severities", "事件与级别列表"),
        Kind::Short(_) => ("secret text, object", "保密文本、对象"),
        Kind::Smtp => ("mail server URL", "邮件服务器 URL"),
        Kind::Address => ("mail address", "邮件地址"),
        Kind::Addresses => ("list of mail addresses", "邮件地址列表"),
        Kind::Words(_) => ("list of words", "关键字列表"),
        Kind::Factor => ("number from 1 to 100", "1 到 100 的数"),
        Kind::Percent => ("percentage", "百分比"),
        Kind::Rate => ("`\"100/s\"`, `\"600/m\"`, `\"1000/h\"`", "`\"100/s\"`、`\"600/m\"`、`\"1000/h\"`"),
        Kind::Secret => ("secret text", "保密文本"),
        Kind::Secrets => ("secret text, or a list", "保密文本或其列表"),
        Kind::Headers => ("header names onto secret texts", "请求头名到保密文本的映射"),
        Kind::Networks => ("list of addresses or networks", "地址或网段列表"),
        Kind::Layout => ("time layout", "时间格式"),
        Kind::Zone => ("time zone", "时区"),
        Kind::Start => ("`\"now\"`, `\"beginning\"`, time", "`\"now\"`、`\"beginning\"`、时间"),
        Kind::Use => ("name of a connection", "连接名"),
        Kind::Columns => ("columns onto columns or objects", "列到列（或对象）的映射"),
        Kind::Column => ("column or object", "列或对象"),
        Kind::Trim => ("true, false, `\"end\"`", "true、false、`\"end\"`"),
        Kind::Tolerance => ("number, percentage, duration", "数字、百分比、时长"),
        Kind::Object(_) => ("object", "对象"),
        Kind::ObjectOrFalse(_) => ("object, false", "对象、false"),
        Kind::Map(_) => ("names onto objects", "名字到对象的映射"),
        Kind::List(_) => ("list of objects", "对象列表"),
    };
    match lang {
        Lang::En => en,
        Lang::Zh => zh,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `CUPID_BLESS=1 cargo test` writes the files anew.
    #[test]
    fn the_committed_reference_is_the_generated_one() {
        for (lang, file) in [(Lang::En, "configuration.md"), (Lang::Zh, "configuration.zh-CN.md")] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
            if std::env::var_os("CUPID_BLESS").is_some() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, reference(lang)).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == reference(lang),
                "docs/{file} is not up to date: CUPID_BLESS=1 cargo test reference"
            );
        }
    }
}
