//! `cupid check`: every problem of the file and its folders, and with `--connect` of the places and the rows in them.

use std::path::Path;
use std::process::ExitCode;

use super::exit;
use crate::base::chain::chain;
use crate::base::folder::{Unwritable, changeable, writable};
use crate::config::{Config, CopyConfig, DestinationConfig, Loaded};
use crate::engine::{Places, Sample, TaskPlaces, Tried};
use crate::sql::probe::{Checked, Level};

/// Prints what is found; `path` is the file as typed, `connect` the number of rows to compare per destination.
pub(super) async fn check(loaded: &Loaded, path: &Path, connect: Option<usize>) -> ExitCode {
    let config = &loaded.config;
    print!("{}", loaded.render_warnings(super::dispatch::colours()));
    println!("{}: no problems in the file", config.path.display());
    let mut problems = 0;
    for checked in &folders(config) {
        println!("  {}", line(checked));
        problems += usize::from(checked.level == Level::Problem);
    }
    if let Some(samples) = connect {
        let places = Places::new(config, &[]);
        for task in &places.tasks {
            problems += check_task(task, samples).await;
        }
        places.close().await;
    }
    if problems > 0 {
        println!("\n{problems} problem(s): see above");
        return ExitCode::from(exit::CONFIG);
    }
    if connect.is_some() {
        println!(
            "\nready; next: `cupid -c {} -s 1 --dry-run` finds and counts differences without calling anybody",
            super::dispatch::typed(path)
        );
    }
    ExitCode::SUCCESS
}

/// Whether a daemon could write its state and its log. Nothing is left of the trial.
fn folders(config: &Config) -> Vec<Checked> {
    let (database, folder) = (config.state.database(&config.name), &config.state.dir);
    let state = writable(folder)
        .and_then(|()| changeable(&database))
        .and_then(|()| changeable(&database.with_extension("lock")));
    let mut found = vec![match state {
        Ok(()) => Checked::good("state", database.display().to_string()),
        Err(e) => Checked::problem("state", unwritable(folder, &e, "or name another folder as `state`")),
    }];
    if let Some(dir) = &config.log.dir {
        found.push(match writable(dir) {
            Ok(()) => Checked::good("logDir", dir.display().to_string()),
            Err(e) => {
                let way_out = "name another one as `logDir`, or leave it out to log to standard output only";
                Checked::problem("logDir", unwritable(dir, &e, way_out))
            }
        });
    }
    found
}

fn unwritable(folder: &Path, reason: &Unwritable, way_out: &str) -> String {
    format!(
        "{} cannot be written ({reason}); give the user that runs cupid the right to write there (and run this check as \
         that user), {way_out}",
        folder.display()
    )
}

async fn check_task(task: &TaskPlaces, samples: usize) -> usize {
    println!("\ntask {}", task.config.name);
    let mut problems = 0;
    for (place, found) in task.probe().await {
        println!("  {place}");
        for checked in &found {
            println!("    {}", line(checked));
        }
        problems += found.iter().filter(|c| c.level == Level::Problem).count();
    }
    for (index, destination) in task.config.destinations.iter().enumerate() {
        // Places that cannot be opened have said why.
        let unfit = task.unfit(index).await.unwrap_or_default();
        let (what, subject) = if destination.is_event() { ("rules", "rule") } else { ("columns", "policy") };
        if !unfit.is_empty() {
            println!("  {what} of {}", destination.name);
        }
        for message in &unfit {
            println!("    {}", line(&Checked::problem(subject, message)));
        }
        for message in task.narrower(index).await.unwrap_or_default() {
            println!("  {} of {}", line(&Checked::warning("column", message)), destination.name);
        }
        problems += unfit.len();
    }
    if problems > 0 {
        return problems;
    }
    for (index, destination) in task.config.destinations.iter().enumerate() {
        let tried = match &destination.copy {
            Some(copy) => task.sample(index, samples).await.map(|sample| table(destination, copy, &sample)),
            None => task.try_events(index, samples).await.map(|tried| events(destination, &tried)),
        };
        match tried {
            Ok(lines) => print!("{lines}"),
            Err(e) => {
                println!("  sample of {}: problem: {}", destination.name, chain(&e));
                problems += 1;
            }
        }
    }
    problems
}

fn line(checked: &Checked) -> String {
    let word = match checked.level {
        Level::Good => "ok",
        Level::Warning => "warning",
        Level::Problem => "problem",
    };
    format!("{word:<8} {}: {}", checked.subject, checked.message)
}

/// What would be told of the rows of a sample.
fn events(destination: &DestinationConfig, tried: &Tried) -> String {
    let mut lines = vec![format!(
        "  sample of {}: {} rows read: {} would be told{}",
        destination.name,
        tried.rows,
        tried.told,
        match tried.deleted {
            0 => String::new(),
            deleted => format!(", {deleted} of them as deleted (type 3)"),
        }
    )];
    if let Some(filter) = &destination.filter {
        lines.push(format!(
            "    where {:?}: holds for {}, does not for {}",
            filter.as_str(),
            tried.told,
            tried.left
        ));
        if tried.rows > 0 && tried.left == tried.rows {
            lines.push("    it holds for no row of the sample: is it what was meant?".to_owned());
        }
    }
    if tried.undecided > 0 {
        lines.push(format!(
            "    {} rows for which `where` or `deletedWhen` cannot be worked out: they are counted, not told",
            tried.undecided
        ));
    }
    if tried.unfit > 0 {
        lines.push(format!(
            "    {} rows have no key (NULL) or are too large (64 MiB): they are counted, not told",
            tried.unfit
        ));
    }
    lines.join("\n") + "\n"
}

/// Agree, missing and differs for the rows, then for each compared column.
fn table(destination: &DestinationConfig, copy: &CopyConfig, sample: &Sample) -> String {
    let c = sample.counts;
    let mut lines = vec![format!(
        "  sample of {}: {} rows compared: {} agree, {} missing, {} differ",
        destination.name, c.rows, c.same, c.missing, c.differs
    )];
    if c.ambiguous > 0 {
        lines.push(format!("    {} rows have several copies with the same key (ambiguous)", c.ambiguous));
    }
    if c.too_large > 0 {
        lines.push(format!("    {} rows are too large to be compared (64 MiB)", c.too_large));
    }
    if c.not_comparable > 0 {
        lines.push(format!("    {} rows have no key (NULL) and cannot be compared", c.not_comparable));
    }
    let names: Vec<String> = copy.columns.iter().map(|c| format!("{} → {}", c.source, c.copy)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("column".len());
    lines.push(format!("    {:<width$}  {:>8}  {:>8}  {:>8}", "column", "agree", "missing", "differs"));
    for (name, differs) in names.iter().zip(&sample.by_column) {
        let agree = c.same + c.differs - differs;
        lines.push(format!("    {name:<width$}  {agree:>8}  {:>8}  {differs:>8}", c.missing));
    }
    let loose = copy.columns.iter().filter(|column| column.policy.is_loose());
    let loose: Vec<String> =
        loose.map(|column| format!("    {}: {}", column.source, column.policy)).collect();
    if !loose.is_empty() {
        lines.push("    let pass, as \"columns\" says:".to_owned());
        lines.extend(loose.into_iter().map(|line| format!("  {line}")));
    }
    if c.rows > 0 && c.missing == c.rows {
        lines.push(
            "    every row of the sample is missing: is this the right table, and does \"byColumn\" name the same thing \
             on both sides?"
                .to_owned(),
        );
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::engine::Counts;

    #[test]
    fn a_sample_is_shown_by_column() {
        let file = r#"{ "src": { "dsn": "sqlite:a.db", "table": "t", "byColumn": "k" },
            "des": [ { "name": "crm", "dsn": "sqlite:b.db", "table": "t", "byColumn": "k",
                       "columns": { "k": "k", "name": { "column": "full_name", "trim": true, "ignoreCase": true } },
                       "callbackNotification": { "url": "127.0.0.1:1/" } } ] }"#;
        let loaded = config::parse(file, std::path::Path::new("/etc/c.json"), &|_| None).unwrap();
        let counts = Counts { rows: 20, same: 17, missing: 1, differs: 2, ..Counts::default() };
        let sample = Sample { counts, by_column: vec![0, 2] };
        let destination = &loaded.config.tasks[0].destinations[0];
        let shown = table(destination, destination.copy.as_ref().unwrap(), &sample);
        let expected = "  sample of crm: 20 rows compared: 17 agree, 1 missing, 2 differ
    column               agree   missing   differs
    k → k                   19         1         0
    name → full_name        17         1         2
    let pass, as \"columns\" says:
      name: trim, ignoreCase
";
        assert_eq!(shown, expected);
    }
}
