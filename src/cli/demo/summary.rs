//! The end of the demo: what happened, whether all agree, and how to go on.

use std::fmt::Write as _;
use std::path::Path;

use super::ledger::{Counts, Ledger};
use super::picture::{Paint, View, times};

/// Spoiled rows named at most.
const NAMED: usize = 10;

/// The numbers, and the verdict.
pub(super) fn result(view: &View, ledger: &Ledger, paint: Paint) -> String {
    let (counts, said, all) = (&view.counts, &view.said, view.agreement);
    let mut out = String::from("\n");
    let mut row = |name: &str, number: u64, what: &str| {
        let _ = writeln!(out, "  {name:<20}{number:>6}   {what}");
    };
    row(
        "changes written",
        counts.inserts + counts.updates,
        &format!("{} new rows, {} updates", counts.inserts, counts.updates),
    );
    row(
        "spoiled on purpose",
        counts.spoiled(),
        &format!("{} dropped, {} mangled", counts.dropped, counts.mangled),
    );
    row("found by cupid", said.found, &found(counts, said.found));
    row("callbacks", said.calls, &refused(said.failed));
    row("seen healed", said.healed, &times(counts, "right again "));
    if said.open > 0 {
        row("still open", said.open, "cupid goes on with them at its next start");
    }
    out.push('\n');
    if all.is_full() {
        let verdict = format!("every row agrees ({} of {})", all.agree, all.rows);
        out += &paint.good(&verdict);
    } else {
        let verdict = format!("{} of {} rows do not agree", all.rows - all.agree, all.rows);
        out += &paint.bad(&verdict);
        for line in ledger.still_spoiled().iter().take(NAMED) {
            let _ = write!(out, "\n  {line}");
        }
    }
    out
}

/// Which of all differences found were spoiled on purpose.
fn found(counts: &Counts, all: u64) -> String {
    let (these, spoiled) = (counts.found, counts.spoiled());
    let these =
        if these == spoiled { format!("these {spoiled}") } else { format!("{these} of these {spoiled}") };
    match all.saturating_sub(counts.found) {
        0 => these,
        1 => format!("{these}, and 1 copy that was only late"),
        late => format!("{these}, and {late} copies that were only late"),
    }
}

fn refused(failed: u64) -> String {
    match failed {
        0 => "none refused by the receiver".to_owned(),
        n => format!("{n} refused by the receiver and made again"),
    }
}

/// Where everything is and what to do with it.
pub(super) fn way_on(config: &Path, paint: Paint) -> String {
    let folder = config.parent().unwrap_or(config);
    let cupid = program();
    let why = |text: &str| paint.faint(&format!("# {text}"));
    [
        String::new(),
        paint.strong("Kept for you, with both databases, state and log:"),
        format!("  {}", config.display()),
        String::new(),
        paint.strong("Go on from here:"),
        format!("  D={}", quoted(folder)),
        format!("  {}", why("every setting and where it comes from")),
        format!("  {cupid} explain -c $D/config.json"),
        format!("  {}", why("lose three customers, look through all of them again, send nothing")),
        "  sqlite3 $D/copy.db \"DELETE FROM crm_customer WHERE customer_no < 4\"".to_owned(),
        format!("  {cupid} -c $D/config.json --restart customer --dry-run"),
        format!("  {}", why("what was found and waits")),
        format!("  {cupid} status -c $D/config.json"),
    ]
    .join("\n")
}

/// How this program is called from where people stand.
fn program() -> String {
    let Ok(exe) = std::env::current_exe() else { return "cupid".to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join("cupid").canonicalize().is_ok_and(|p| p == exe)) {
        return "cupid".to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    match exe.strip_prefix(&here) {
        Ok(below) if !here.as_os_str().is_empty() => quoted(&Path::new(".").join(below)),
        _ => quoted(&exe),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%,:=".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::daemon::Said;
    use crate::cli::demo::ledger::Spoil;
    use crate::cli::demo::tables::Agreement;

    #[test]
    fn what_differs_is_named() {
        let ledger = Ledger::default();
        let mut view = View { agreement: Agreement { rows: 3, agree: 3 }, ..View::default() };
        assert!(result(&view, &ledger, Paint(false)).contains("every row agrees (3 of 3)"));
        assert!(ledger.changed(1, 5, true) && ledger.spoiled(1, 5, "v", Spoil::LostRow));
        view.agreement.agree = 2;
        let text = result(&view, &ledger, Paint(false));
        assert!(
            text.contains("1 of 3 rows do not agree") && text.contains("orders 5: new row dropped"),
            "{text}"
        );
    }

    #[test]
    fn found_is_held_against_spoiled() {
        let counts = Counts { dropped: 40, mangled: 19, found: 59, ..Counts::default() };
        assert_eq!(found(&counts, 59), "these 59");
        assert_eq!(found(&counts, 60), "these 59, and 1 copy that was only late");
        assert_eq!(
            found(&Counts { found: 57, ..counts }, 59),
            "57 of these 59, and 2 copies that were only late"
        );
    }

    #[test]
    fn lines_fit_the_narrowest_terminal() {
        let counts = Counts { heal_times: vec![std::time::Duration::from_secs(100)], ..Counts::default() };
        let said = Said { found: 1234, calls: 1234, failed: 1234, healed: 1234, open: 12 };
        let view = View { counts, said, ..View::default() };
        let way = way_on(Path::new("/tmp/cupid-demo-1234567/config.json"), Paint(false));
        let own = way.replace(&program(), "./target/release/cupid");
        for line in result(&view, &Ledger::default(), Paint(false)).lines().chain(own.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/cupid-demo-7/config.json")), "/tmp/cupid-demo-7/config.json");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}
