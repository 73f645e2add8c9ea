//! What people see: a small block, redrawn in place on a terminal; a line now and then elsewhere.

use std::io::{IsTerminal, Result, Stdout, Write};
use std::time::{Duration, Instant};

use super::daemon::Said;
use super::ledger::{Counts, Story};
use super::slots::Slots;
use super::tables::{Agreement, TABLES};

/// Cells of the bar.
const BAR: u64 = 40;
/// Pause between two lines if there is no terminal.
const LINE: Duration = Duration::from_secs(2);

const INTRO: &str = "\
cupid demo: a shop, and a copy of it that loses things

  A writer changes the shop; a careless copier carries every change to the copy.
  On purpose it drops one change in ten and spoils one in twenty. cupid reads
  both, and calls the owner of the copy for each row that disagrees, until it
  agrees. Here the owner repairs the row.";

/// Everything one picture is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Since the writer began.
    pub(super) elapsed: Duration,
    /// The writer has stopped.
    pub(super) ending: bool,
    pub(super) agreement: Agreement,
    pub(super) counts: Counts,
    pub(super) said: Said,
    pub(super) stories: Vec<Story>,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    fn warn(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(super) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}

/// Where pictures are drawn.
#[derive(Debug)]
pub(super) struct Screen {
    out: Stdout,
    terminal: bool,
    pub(super) paint: Paint,
    /// Lines of the block drawn last.
    drawn: usize,
    said_at: Option<Instant>,
    slots: Slots,
}

impl Screen {
    /// Standard output, whatever it is.
    pub(super) fn new() -> Self {
        let out = std::io::stdout();
        let terminal = out.is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        let paint = Paint(terminal && std::env::var_os("NO_COLOR").is_none());
        Self { out, terminal, paint, drawn: 0, said_at: None, slots: Slots::default() }
    }

    /// Says what there is to see.
    pub(super) fn intro(&mut self, length: Option<Duration>) -> Result<()> {
        let (title, rest) = INTRO.split_once('\n').unwrap_or((INTRO, ""));
        let end = match length {
            Some(length) => format!("It ends after {} s, or by Ctrl-C.", length.as_secs_f64()),
            None => "It runs until Ctrl-C.".to_owned(),
        };
        writeln!(self.out, "{}\n{rest} {end}\n", self.paint.strong(title))
    }

    /// Shows the state of things.
    pub(super) fn draw(&mut self, view: &View) -> Result<()> {
        if !self.terminal {
            if self.said_at.is_none_or(|at| at.elapsed() >= LINE) {
                self.said_at = Some(Instant::now());
                writeln!(self.out, "{}", line(view))?;
                self.out.flush()?;
            }
            return Ok(());
        }
        let shown = self.slots.step(&view.stories);
        let lines = block(view, &shown, self.paint);
        // No cursor and no wrapping while it is drawn; one write, so that nothing flickers.
        let mut text = "\x1b[?25l\x1b[?7l".to_owned();
        if self.drawn > 0 {
            let up = self.drawn;
            text.extend(["\x1b[", &up.to_string(), "A\r"]);
        }
        for line in &lines {
            text += line;
            text += "\x1b[K\n";
        }
        text += "\x1b[?7h";
        self.drawn = lines.len();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes below the picture.
    pub(super) fn say(&mut self, text: &str) -> Result<()> {
        self.drawn = 0;
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal {
            let _ = self.out.write_all(b"\x1b[?25h");
            let _ = self.out.flush();
        }
    }
}

fn block(view: &View, shown: &[Option<&Story>], paint: Paint) -> Vec<String> {
    let (counts, said, all) = (&view.counts, &view.said, view.agreement);
    let full = (all.agree * BAR).checked_div(all.rows).unwrap_or(BAR);
    let cells = |n: u64, cell: &str| cell.repeat(usize::try_from(n).unwrap_or(0));
    let bar = format!("{}{}", paint.good(&cells(full, "█")), paint.bad(&cells(BAR - full, "░")));
    let label = |name: &str| paint.faint(&format!("  {name:<10}"));
    let mut lines = vec![
        format!("{}{bar}  {} of {} agree", label("rows"), all.agree, all.rows),
        format!(
            "{}{:>5} changes: {} new rows, {} updates",
            label("writer"),
            counts.inserts + counts.updates,
            counts.inserts,
            counts.updates
        ),
        format!(
            "{}{} of them spoiled on purpose: {} dropped, {} mangled",
            label("copier"),
            paint.warn(&format!("{:>5}", counts.spoiled())),
            counts.dropped,
            counts.mangled
        ),
        format!("{}{:>5} differences found{}", label("cupid"), said.found, only_late(counts.late)),
        format!("{}{:>5} made{}", label("callbacks"), said.calls, refused(said.failed)),
        format!(
            "{}{} seen to agree again{}",
            label("healed"),
            paint.good(&format!("{:>5}", said.healed)),
            times(counts, ", ")
        ),
        String::new(),
        paint.faint("  some of the spoiled rows:"),
    ];
    lines.extend(shown.iter().map(|story| story.map_or_else(String::new, |s| tell(s, paint))));
    lines.push(String::new());
    let seconds = view.elapsed.as_secs();
    let clock = format!("  {}:{:02}  ", seconds / 60, seconds % 60);
    let now =
        if view.ending { "the writer has stopped; waiting until every row agrees" } else { "Ctrl-C ends it" };
    lines.push(paint.faint(&format!("{clock}{now}")));
    lines
}

/// What callbacks there were for rows that were only on their way.
fn only_late(late: u64) -> String {
    match late {
        0 => String::new(),
        1 => ", 1 of them a copy that was only late".to_owned(),
        n => format!(", {n} of them copies that were only late"),
    }
}

/// What the receiver refused.
fn refused(failed: u64) -> String {
    match failed {
        0 => String::new(),
        n => format!(", {n} of them refused by the receiver and made again"),
    }
}

/// Median and worst time to heal, if anything has healed.
pub(super) fn times(counts: &Counts, before: &str) -> String {
    counts.times().map_or_else(String::new, |(median, worst)| {
        format!("{before}in {:.1} s (median), {:.1} s at worst", median.as_secs_f64(), worst.as_secs_f64())
    })
}

/// One story in one line.
fn tell(story: &Story, paint: Paint) -> String {
    let what = format!("{} {}", TABLES[story.table].name, story.id);
    let call = match (story.called, story.refused, story.healed) {
        (false, ..) => "",
        (true, 0, _) => "→ called back",
        (true, _, None) => "→ called back, refused",
        (true, _, Some(_)) => "→ refused, called again",
    };
    let healed =
        story.healed.map_or_else(String::new, |t| format!("→ healed after {:.2} s", t.as_secs_f64()));
    let call = format!("{call:<24}");
    let call = if story.refused > 0 { paint.bad(&call) } else { call };
    let spoiled = paint.warn(&format!("{:<17}", story.spoil.words(story.table)));
    format!("  {what:<14}{spoiled}{call}{}", paint.good(&healed))
}

/// Everything in one line.
fn line(view: &View) -> String {
    let (counts, said, all) = (&view.counts, &view.said, view.agreement);
    format!(
        "{:>4} s  {}/{} agree, {} changes, {} spoiled, {} found, {} healed",
        view.elapsed.as_secs(),
        all.agree,
        all.rows,
        counts.inserts + counts.updates,
        counts.spoiled(),
        said.found,
        said.healed
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::ledger::{Ledger, Spoil};
    use crate::cli::demo::slots::SLOTS;

    const NARROWEST: usize = 80;

    fn big() -> View {
        let ledger = Ledger::default();
        for id in 10_000..10_010 {
            assert!(ledger.changed(0, id, true) && ledger.spoiled(0, id, "v", Spoil::OldAmount));
            let story = ledger.called(0, id, "v", true).unwrap();
            ledger.repaired(story);
        }
        let mut counts = ledger.counts();
        counts.inserts = 12_345;
        counts.updates = 54_321;
        counts.late = 1234;
        counts.heal_times = vec![Duration::from_secs(100)];
        View {
            elapsed: Duration::from_secs(36_000),
            ending: true,
            agreement: Agreement { rows: 12_345, agree: 12_340 },
            said: Said { found: 12_345, calls: 12_345, failed: 1234, healed: 12_345, open: 5 },
            counts,
            stories: ledger.stories(),
        }
    }

    #[test]
    fn nothing_is_wider_than_the_narrowest_terminal() {
        let view = big();
        let shown: Vec<_> = view.stories.iter().take(SLOTS).map(Some).collect();
        let lines = block(&view, &shown, Paint(false));
        assert!(lines.len() < 18, "the block and its introduction fit into 24 lines");
        for line in lines.iter().map(String::as_str).chain(INTRO.lines()).chain([line(&view).as_str()]) {
            assert!(line.chars().count() <= NARROWEST, "{line}");
        }
    }

    #[test]
    fn without_colours_there_are_no_escapes() {
        let view = big();
        let shown: Vec<_> = view.stories.iter().take(SLOTS).map(Some).collect();
        let plain = block(&view, &shown, Paint(false)).join("\n");
        assert!(!plain.contains('\x1b'));
        assert!(plain.contains("→ refused, called again") && plain.contains("customer 10003"), "{plain}");
        assert!(block(&view, &shown, Paint(true)).join("\n").contains("\x1b[32m"));
    }
}
