use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../config.example.json");

fn no_env(_: &str) -> Option<String> {
    None
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config")
}

/// Every secret of the fixtures contains one of these words.
const CANARIES: [&str; 4] = ["canary", "can#ary", "987654", "ary,"];

fn fixture_env(name: &str) -> Option<String> {
    match name {
        "SHOP_DSN" => Some("shop:canary@tcp(shop.example.com:3306)/shop?tls=true".to_owned()),
        "WEBHOOK_SECRET" => Some("whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5".to_owned()),
        "TOKEN" => Some("canary".to_owned()),
        _ => None,
    }
}

/// Checks a fixture under a path that is the same on every machine; files beside it are those of the fixtures.
fn load_fixture(text: &str, name: &str) -> Result<Loaded, Report> {
    let secret = format!("${{file:{}}}", fixtures().join("secret.txt").display());
    parse(&text.replace("${file:secret.txt}", &secret), &Path::new("/conf").join(name), &fixture_env)
}

/// Each `*.json` of the fixtures says what is in the `*.txt` beside it; `CUPID_BLESS=1` writes those anew.
#[test]
fn fixtures_say_what_they_should() {
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let said = match load_fixture(&text, &name) {
            Ok(loaded) => {
                format!("{}\n{}", loaded.render_warnings(false), explain(&loaded))
            }
            Err(report) => report.render(false),
        };
        let said = said.replace(&fixtures().display().to_string(), "FIXTURES");
        let expected = path.with_extension("txt");
        if std::env::var_os("CUPID_BLESS").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(said, expected, "{name}");
        seen += 1;
    }
    assert!(seen >= 10, "the fixtures are gone");
}

#[test]
fn no_fixture_tells_its_secrets() {
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let said = match load_fixture(&text, "config.json") {
            Ok(loaded) => {
                let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
                format!(
                    "{}{}{warnings:?}{:?}{:?}",
                    loaded.render_warnings(true),
                    explain(&loaded),
                    loaded.config,
                    loaded
                )
            }
            Err(report) => format!("{}{}{report}{report:?}", report.render(false), report.render(true)),
        };
        for canary in CANARIES {
            assert!(!said.contains(canary), "{} tells {canary}: {said}", path.display());
        }
    }
}

#[test]
fn an_explanation_is_a_configuration_that_means_the_same() {
    for name in ["tasks.json", "php-edition.json"] {
        // Secrets by reference survive; those written in the file do not, and are taken out here.
        let text = std::fs::read_to_string(fixtures().join(name)).unwrap();
        let text = text
            .replace("?token=canary", "")
            .replace("ops:canary@", "")
            .replace("\"canary\"", "\"${TOKEN}\"");
        let first = load_fixture(&text, "config.json").unwrap_or_else(|report| panic!("{report}"));
        let again = explain(&first);
        let second = load_fixture(&again, "config.json").unwrap_or_else(|report| panic!("{again}\n{report}"));
        let plain = |loaded: &Loaded| {
            let mut config = loaded.config.clone();
            config.state.origin = String::new();
            format!("{config:#?}")
        };
        assert_eq!(plain(&first), plain(&second));
        assert_eq!(secrets(&first.config), secrets(&second.config));
    }
}

fn secrets(config: &Config) -> Vec<String> {
    let passwords = config.tasks.iter().flat_map(|task| {
        std::iter::once(&task.source.dsn)
            .chain(task.destinations.iter().filter_map(|d| Some(&d.copy.as_ref()?.dsn)))
    });
    passwords
        .map(|dsn| format!("{:?}", dsn.password.as_ref().map(crate::base::secret::Secret::expose)))
        .collect()
}

#[test]
fn the_example_is_the_legacy_file() {
    let loaded =
        parse(EXAMPLE, Path::new("/etc/cupid/config.json"), &no_env).unwrap_or_else(|r| panic!("{r}"));
    let config = &loaded.config;
    assert_eq!((config.workers, config.log.dir.as_deref()), (3, Some(Path::new("/tmp"))));
    assert_eq!(
        (config.state.dir.as_path(), config.state.origin.as_str()),
        (Path::new("/tmp"), "cacheFilePath")
    );
    assert_eq!(config.tasks.len(), 1);
    let task = &config.tasks[0];
    assert_eq!((task.name.as_str(), task.callbacks), ("main", true));
    let source = &task.source;
    assert_eq!(source.dsn.place(), "mysql 127.0.0.1:3306/db");
    assert_eq!((source.table.as_str(), source.by_column.as_str(), &source.id), ("user", "number", &None));
    assert_eq!(source.insert, Some(Duration::from_secs(2)));
    let update = source.update.as_ref().unwrap();
    assert_eq!((update.column.as_str(), update.start.clone()), ("update_time", Start::Now));
    assert_eq!((update.interval, update.window), (Duration::from_secs(2), Duration::from_secs(5)));
    assert_eq!(update.layout.as_ref().unwrap().strftime, "%Y-%m-%d %H:%M:%S");
    let destination = &task.destinations[0];
    assert_eq!(destination.name.as_str(), "db2.user");
    let columns = ["number", "name"].map(|name| ColumnConfig {
        source: name.to_owned(),
        copy: name.to_owned(),
        policy: ColumnPolicy::default(),
    });
    assert_eq!(destination.copy.as_ref().unwrap().columns, columns);
    assert_eq!(destination.callback.url.as_str(), "http://127.0.0.1:20000/test/callback");
    assert_eq!(
        (destination.callback.concurrency, destination.callback.timeout),
        (4, Duration::from_secs(10))
    );
    let retry = RetryPolicy::fixed(Duration::from_secs(10), 3, Then::Every(Duration::from_secs(600)));
    assert_eq!((&destination.retry, destination.verify), (&retry, Some(Duration::from_secs(30))));
    // State below /tmp is the one thing to say about it.
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
}

/// The document's own file, comments and all but one line each, with the lists of keys the other edition had.
#[test]
fn go_layouts_and_other_spellings_of_the_legacy_file() {
    let cases = [
        ("\"Y-m-d H:i:s\"", "\"2006-1-2 15:04:05\"", "%Y-%-m-%-d %H:%M:%S"),
        ("\"Y-m-d H:i:s\"", "\"2006-01-02 15:04:05.000000\"", "%Y-%m-%d %H:%M:%S%.6f"),
        ("\"Y-m-d H:i:s\"", "\"U\"", "%s"),
    ];
    for (from, to, strftime) in cases {
        let text = EXAMPLE.replace(from, to);
        let loaded = parse(&text, Path::new("/etc/cupid/config.json"), &no_env).unwrap();
        let update = loaded.config.tasks[0].source.update.clone().unwrap();
        assert_eq!(update.layout.unwrap().strftime, strftime);
    }
    let text = format!("\u{feff}{}", EXAMPLE.replace('\n', "\r\n"));
    assert!(parse(&text, Path::new("/etc/cupid/config.json"), &no_env).is_ok());
}

#[test]
fn insert_and_update_switch_off() {
    let with = |from: &str, to: &str| {
        let text = EXAMPLE.replace(from, to);
        parse(&text, Path::new("/etc/cupid/config.json"), &no_env)
            .map(|loaded| loaded.config.tasks[0].source.clone())
    };
    assert_eq!(with("\"insert\": true", "\"insert\": false").unwrap().insert, None);
    assert!(with("\"update\": true", "\"update\": false").unwrap().update.is_none());
    assert!(with("\"update\": true,", "").unwrap().update.is_some());
    let report = with("\"updateColumn\": \"update_time\",", "").unwrap_err();
    assert!(report.to_string().contains("`updateColumn` is missing"), "{report}");
}

#[test]
fn folders_of_systemd_win_over_temporary_ones_only() {
    struct Case {
        file: Option<&'static str>,
        variable: Option<&'static str>,
        tmpdir: Option<&'static str>,
        dir: &'static str,
        note: bool,
        warned: bool,
    }
    let case = |file, variable, tmpdir, dir, note, warned| Case { file, variable, tmpdir, dir, note, warned };
    let cases = [
        case(None, None, None, "/conf", false, false),
        case(None, Some("/var/lib/cupid:/var/lib/b"), None, "/var/lib/cupid", false, false),
        case(Some("/tmp"), None, None, "/tmp", false, true),
        case(Some("/tmp/x"), Some("/var/lib/cupid"), None, "/var/lib/cupid", true, false),
        case(Some("/var/tmp/../tmp/x"), Some("/var/lib/cupid"), None, "/var/lib/cupid", true, false),
        case(Some("/scratch/x"), Some("/var/lib/cupid"), Some("/scratch/"), "/var/lib/cupid", true, false),
        case(Some("/tmpfiles"), Some("/var/lib/cupid"), None, "/tmpfiles", false, false),
        case(Some("/data"), Some("/var/lib/cupid"), None, "/data", false, false),
        case(Some("sub/../state"), Some("/var/lib/cupid"), None, "/conf/state", false, false),
        case(Some("/tmp"), Some("/tmp/systemd"), None, "/tmp/systemd", true, true),
        case(Some("/tmp"), Some(""), None, "/tmp", false, true),
    ];
    for Case { file, variable, tmpdir, dir, note, warned } in cases {
        let env = |name: &str| match name {
            "STATE_DIRECTORY" | "LOGS_DIRECTORY" => variable.map(str::to_owned),
            "TMPDIR" => tmpdir.map(str::to_owned),
            _ => None,
        };
        for key in ["state", "cacheFilePath"] {
            let folder = file
                .map_or_else(String::new, |file| format!("\"{key}\": \"{file}\", \"logDir\": \"{file}\","));
            let loaded = small(&folder, &env);
            let state = &loaded.config.state;
            assert_eq!(state.dir, Path::new(dir), "{file:?} {variable:?}");
            // In an old key, a path that is not absolute once was one from the working directory.
            let relative = file.is_some_and(|file| !file.starts_with('/'));
            assert_eq!(state.note.is_some(), note || (relative && key != "state"), "{file:?} {variable:?}");
            for said in [&state.note, &loaded.config.log.note].into_iter().flatten().filter(|_| relative) {
                assert!(said.contains("folder of the configuration") && said.contains(dir), "{said}");
            }
            let said = loaded.warnings.iter().any(|problem| problem.message.contains("temporary folder"));
            assert_eq!(said, warned, "{file:?} {variable:?}");
            assert_eq!(state.database("x"), Path::new(dir).join("cupid-x.db"));
            let log = &loaded.config.log;
            match (file, variable) {
                (None, None) => assert_eq!(log.dir, None),
                _ => assert_eq!(
                    (log.dir.as_deref(), log.note.is_some()),
                    (Some(Path::new(dir)), note || relative)
                ),
            }
        }
    }
}

/// A small complete file with more keys at its top level.
fn small(more: &str, env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let text = format!(
        r#"{{ {more} "src": {{ "dsn": "sqlite:a.db", "table": "t", "byColumn": "k" }}, "des": [ {{ "dsn": "sqlite:b.db",
           "table": "t", "byColumn": "k", "columns": {{ "k": "k" }}, "callbackNotification": {{ "url": "h" }} }} ] }}"#
    );
    parse(&text, Path::new("/conf/config.json"), env).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn the_nearest_policy_wins() {
    let text = std::fs::read_to_string(fixtures().join("tasks.json")).unwrap();
    let config = load_fixture(&text, "config.json").unwrap().config;
    let [users, orders] = config.tasks.as_slice() else { panic!("two tasks") };
    assert!(users.callbacks && !orders.callbacks);
    let seconds = |s| Some(Duration::from_secs(s));
    let [crm, search] = users.destinations.as_slice() else { panic!("two destinations") };
    // Connection before top level, destination before all.
    assert_eq!((crm.verify, search.verify), (None, seconds(10)));
    assert_eq!((crm.callbacks, search.callbacks), (true, false));
    // The task's `retry` replaces the top level's as a whole; what it leaves open is the default.
    assert_eq!(crm.retry, RetryPolicy::fixed(Duration::from_secs(10), 5, Then::Dead));
    let hourly = Then::Every(Duration::from_secs(3600));
    assert_eq!(search.retry, RetryPolicy::fixed(Duration::from_secs(60), 3, hourly));
    assert_eq!(orders.destinations[0].retry.delay, Duration::from_secs(5));
    assert_eq!((users.source.zone, orders.source.zone), (Some(chrono_tz::UTC), Some(chrono_tz::UTC)));
    assert_eq!(crm.copy.as_ref().unwrap().dsn.password.as_ref().unwrap().expose(), "can ary");
    assert_eq!(crm.callback.secrets[0].expose().len(), 24);
    let names: Vec<&str> = orders.destinations.iter().map(|destination| destination.name.as_str()).collect();
    assert_eq!(names, ["crm.order", "crm.order-2"]);
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let folder = fixtures();
    for (path, word) in [
        ("no-such-file.json", "does not exist"),
        (".", "folder"),
        ("latin1.bin", "UTF-8 text, first on line 2"),
    ] {
        let report = load(&folder.join(path), &no_env).unwrap_err();
        assert!(report.problems()[0].message.contains(word), "{report}");
        assert!(report.problems()[0].help.is_some());
    }
}

#[test]
fn the_name_follows_the_path_and_survives_a_link() {
    let folder = tempfolder("name");
    let file = folder.join("config.json");
    std::fs::write(&file, EXAMPLE).unwrap();
    let name = |path: &Path| load(path, &no_env).unwrap().config.name;
    let link = folder.join("link");
    std::os::unix::fs::symlink(&*folder, &link).unwrap();
    assert_eq!(name(&file), name(&link.join("config.json")));
    assert_eq!(name(&file), name(&folder.join("./link/config.json")));
    let other = folder.join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("config.json"), EXAMPLE).unwrap();
    assert_ne!(name(&file), name(&other.join("config.json")));
}

/// Those who only want to know where the daemon is need none of its secrets.
#[test]
fn names_need_no_secret() {
    let file = r#"{
      "name": "shop", "state": "/var/lib/cupid", "pushbearSendKey": "${BEAR}",
      "connections": { "copy": { "dsn": "postgres://app:${PW}@db.example.com/crm", "user": "app", "password": "${PW}" } },
      "notify": { "ops": { "smtp": "${SMTP}", "from": "a@b.c", "to": ["a@b.c"] } },
      "src": { "dsn": "root:${PW}@tcp(h)/shop", "user": "${WHO}", "table": "t", "byColumn": "k" },
      "des": [
        { "use": "copy", "table": "t", "byColumn": "k", "columns": { "k": "k" },
          "callbackNotification": { "url": "http://h/?token=${T}", "secret": "${file:/run/secrets/none}" } },
        { "dsn": "${COPY_DSN}", "table": "t", "byColumn": "k", "columns": { "k": "k" },
          "callbackNotification": { "url": "${URL}" } },
        { "dsn": "root:x@tcp(h:${PORT})/shop", "name": "named", "table": "t", "byColumn": "k", "columns": { "k": "k" },
          "callbackNotification": { "url": "h/" } },
      ],
    }"#;
    let folder = tempfolder("names");
    let path = folder.join("config.json");
    std::fs::write(&path, file).unwrap();
    let config = load_names(&path, &no_env).unwrap_or_else(|report| panic!("{report}")).config;
    assert_eq!(config.state.database(&config.name), Path::new("/var/lib/cupid/cupid-shop.db"));
    let names: Vec<String> = config.tasks[0].destinations.iter().map(|d| d.name.to_string()).collect();
    assert_eq!(names, ["crm.t", "<unset>.t", "named"]);
    // Everybody else is told about each of them, and so is whoever wants a folder that is not known.
    let report = load(&path, &no_env).unwrap_err();
    assert!(report.problems().len() >= 8, "{report}");
    std::fs::write(&path, file.replace("/var/lib/cupid", "${WHERE}")).unwrap();
    let report = load_names(&path, &no_env).unwrap_err();
    let errors = report.problems().iter().filter(|problem| problem.severity == Severity::Error);
    assert_eq!(errors.count(), 1, "{report}");
    assert!(report.to_string().contains("`WHERE` is not set"), "{report}");
}

/// Who is on call may have none of the secrets, and needs no channel to ask how things are.
#[test]
fn no_channel_needs_its_secrets_to_be_asked_about() {
    let page = include_str!("../../docs/alerts.md");
    let shown = page.split("```jsonc\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let chat = r#""chat": "-1001234567890""#;
    assert!(
        shown.contains(chat) && shown.contains("\"ops@example.com\"") && shown.contains("\"topic\": \"ops\"")
    );
    let file = shown
        .replace(chat, r#""chat": "${CHAT}""#)
        .replace(r#""topic": "ops""#, r#""topic": "${TOPIC}""#)
        .replace(r#"["ops@example.com"]"#, r#"["${OPS}"]"#)
        .replace(r#"["@all"]"#, r#"["${WHO}"]"#)
        .replace("\"cupid <alerts@example.com>\"", "\"${FROM}\"")
        .replace(r#"\"text\": {{ title }}"#, r#"\"text\": {{ title }}, \"token\": \"${TOKEN}\""#)
        .replace("${TEAMS_URL:-https://example.com/workflow}", "${TEAMS_URL}");
    let folder = tempfolder("channels");
    let path = folder.join("config.json");
    for file in [shown.to_owned(), file] {
        std::fs::write(&path, &file).unwrap();
        let config = load_names(&path, &no_env).unwrap_or_else(|report| panic!("{report}")).config;
        assert_eq!(config.notify.channels.len(), 12);
        assert!(load(&path, &no_env).is_err());
    }
}

/// A folder that is gone when the test is.
struct TempFolder(PathBuf);

impl std::ops::Deref for TempFolder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn tempfolder(name: &str) -> TempFolder {
    let folder = std::env::temp_dir().join(format!("cupid-config-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    TempFolder(folder.canonicalize().unwrap())
}

/// Any JSON, with keys and values that the loader knows.
fn json_like() -> impl Strategy<Value = serde_json::Value> {
    let names: Vec<&'static str> = keys::all().map(|key| key.name).collect();
    let name = prop_oneof![proptest::sample::select(names), Just("x"), Just("")];
    let texts =
        vec!["", "x", "10s", "${X}", "u:p@tcp(h)/d", "sqlite:a", "http://h", "dead", "whsec_AAAA", "a@b"];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        proptest::sample::select(texts).prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                serde_json::Value::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

/// A broken copy of a good file: one byte range replaced.
fn mangled() -> impl Strategy<Value = String> {
    let texts = vec![EXAMPLE, include_str!("../../tests/fixtures/config/tasks.json")];
    (
        proptest::sample::select(texts),
        any::<prop::sample::Index>(),
        0_usize..30,
        "\\PC{0,6}|[\"{}\\[\\],:'/*]{0,4}",
    )
        .prop_map(|(text, at, length, patch)| {
            let start = text.floor_char_boundary(at.index(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            format!("{}{patch}{}", &text[..start], &text[end.max(start)..])
        })
}

/// Loads, and renders whatever comes out.
fn exercise(text: &str) -> String {
    match parse(text, Path::new("/conf/config.json"), &fixture_env) {
        Ok(loaded) => loaded.render_warnings(true) + &loaded.render_warnings(false) + &explain(&loaded),
        Err(report) => {
            assert!(report.problems().iter().any(|problem| problem.severity == Severity::Error));
            report.render(true) + &report.render(false)
        }
    }
}

#[test]
fn the_bracket_that_is_not_closed_is_shown() {
    for (text, line, column, bracket) in [
        ("{\n  \"src\": {\n    \"table\": \"t\"\n  }\n", 1, 1, "{"),
        ("{\n  \"src\": {\n    \"table\": \"t\",\n", 2, 10, "{"),
        ("{\n  \"src\": {\n    \"table\": \"t\"\n  },\n  \"des\": [\n    { }\n", 5, 10, "["),
        // By how it is set out: the last bracket is meant for the file, not for `src`.
        ("{\n  \"src\": {\n    \"table\": \"t\",\n  \"des\": [\n  ]\n}\n", 2, 10, "{"),
        ("{ \"src\": { \"table\": \"{[\", // {[\n \"des\": [ 1, 2", 2, 9, "["),
        ("{", 1, 1, "{"),
    ] {
        let report = parse(text, Path::new("/conf/config.json"), &|_| None).unwrap_err();
        let [problem] = report.problems() else { panic!("{text}: {report:?}") };
        assert_eq!((problem.line, problem.column), (line, column), "{text}\n{problem}");
        assert!(problem.message.contains(&format!("this `{bracket}` is not closed by")), "{problem}");
        assert!(problem.help.as_deref().is_some_and(|help| help.starts_with("put the `")), "{problem}");
        assert!(report.render(false).contains("the file ends here"), "{}", report.render(false));
    }
}

proptest! {
    #[test]
    fn any_text_is_loaded_or_reported(text in "\\PC*|[\"{}\\[\\],:'/*\n\\\\a0-9.-]{0,40}") {
        exercise(&text);
    }

    #[test]
    fn any_json_is_loaded_or_reported(value in json_like()) {
        exercise(&value.to_string());
    }

    #[test]
    fn a_mangled_file_is_loaded_or_reported(text in mangled()) {
        exercise(&text);
    }

    #[test]
    fn passwords_are_not_told_wherever_the_file_breaks(cut in any::<prop::sample::Index>(), patch in "[\"{}\\[\\],:'x ]{0,3}") {
        let text = EXAMPLE.replace("user:password@", "user:hunter2@").replace("\"pushbearSendKey\": \"\"", "\"pushbearSendKey\": \"hunter2\"");
        // Breaking the secret itself or the key that makes it one is another matter.
        let at = text.floor_char_boundary(cut.index(text.len()));
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        prop_assume!(!line.contains("hunter2"));
        let broken = format!("{}{patch}{}", &text[..at], &text[at..]);
        prop_assert!(!exercise(&broken).contains("hunter2"));
    }
}
