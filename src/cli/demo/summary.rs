//! The end of the demo: what happened, whether all agree, and how to go on.

use std::fmt::Write as _;
use std::path::Path;

use super::ledger::Ledger;
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
    let late = said.found.saturating_sub(counts.spoiled());
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
    row("found by cupid", said.found, &found(counts.spoiled(), late));
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

fn found(spoiled: u64, late: u64) -> String {
    match late {
        0 => "exactly these".to_owned(),
        1 => format!("these {spoiled}, and 1 copy that was only late"),
        n => format!("these {spoiled}, and {n} copies that were only late"),
    }
}

fn refused(failed: u64) -> String {
    match failed {
        0 => "none refused by the receiver".to_owned(),
        n => format!("{n} refused by the receiver on purpose, and made again"),
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
    fn paths_survive_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/cupid-demo-7/config.json")), "/tmp/cupid-demo-7/config.json");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}
