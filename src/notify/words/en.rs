//! English.

use super::Words;
use crate::model::Event;

pub(in crate::notify) const WORDS: Words = Words {
    what,
    means,
    over,
    extent,
    length,
    instance: "Instance",
    task: "Task",
    destination: "Destination",
    since: "Since",
    until: "Until",
    count: "How many",
    waiting: "Waiting now",
    oldest: "the oldest since",
    error: "Last error",
    part: "Part",
    next: "Next",
    still: " (still)",
    recovered: "recovered: ",
    left: "no longer looked at: ",
    left_means: "This is no longer in the configuration, so nobody looks at it any more. What waited for it is kept.",
    stray: "deliveries wait for a destination that is not in the configuration",
    stray_means: "Nobody works on them; they are kept as they are, and everything else goes on. Put the destination back under \
        this name and restart cupid, or export and close them.",
    stray_over: "No delivery waits for it any more.",
    several,
    more: |more| format!("… and {more} more"),
    colon: ": ",
    test_title: "[cupid] test message",
    test_text: "This is a test of this channel: people will be told here when they are needed. Nothing is wrong.",
};

fn what(event: Event) -> &'static str {
    match event {
        Event::Failing => "callbacks fail",
        Event::Dead => "deliveries wait for a person",
        Event::NotFixed => "acknowledged but not fixed",
        Event::Ambiguous => "several rows carry one key",
        Event::Hot => "rows that never stand still",
        Event::Blocked => "the task is blocked",
        Event::Emptied => "paused, the copy seems to be emptied",
        Event::Gone => "paused, the receiver says that it is gone",
        Event::StoppedFollowing => "the copy has stopped following",
        Event::Lag => "looks are late",
        Event::State => "the state cannot be written",
        Event::Unreachable => "a database cannot be reached",
        Event::Disk => "the disk is nearly full",
        Event::Memory => "memory is nearly used up",
        Event::Descriptors => "file descriptors are nearly used up",
        Event::Reload => "the changed configuration is refused",
        Event::Audit => "an audit found differences, or could not compare everything",
        Event::Restarted => "a part of cupid ended and was started again",
    }
}

fn means(event: Event) -> &'static str {
    match event {
        Event::Failing => {
            "Callbacks used up their quick tries and are tried slowly from now on, or so many failed that nothing is sent but \
             a call now and then. Nothing is lost. Look at the receiver; cupid goes on by itself when it accepts them again."
        }
        Event::Dead => {
            "Deliveries used up their tries, or cannot be sent as they are. They are kept and not sent until a person acts."
        }
        Event::NotFixed => {
            "The receiver answered 2xx, and the copy still differs. These callbacks are sent again, as new messages, after \
             1 minute, 5 minutes, then every 10 minutes. Look at what the receiver does with them."
        }
        Event::Ambiguous => {
            "These keys are carried by several rows, at the source or at the copy. They count as different and are never called \
             back. Remove the rows that are too many; a unique index on byColumn keeps more from coming."
        }
        Event::Hot => {
            "These rows have not stood still since they were found to differ. Their copies follow, so nothing is called back for \
             them, but nobody has seen them agree. Look at what keeps writing to them."
        }
        Event::Blocked => {
            "A table, a column, a right or a password is not as needed. Nothing is called back meanwhile. cupid goes on by itself when the cause is gone; its status \
             names it."
        }
        Event::Emptied => {
            "Rows that agreed before are missing now: the copy was emptied, or is another table. Nothing is sent to this \
             receiver; what is found is kept. Bring the rows back, and cupid goes on by itself; or, if it is meant, say so."
        }
        Event::Gone => {
            "The receiver answered 410 Gone. Nothing is sent to it any more; what is found is kept. When it is there again, or \
             another one is configured, say so."
        }
        Event::StoppedFollowing => {
            "What the copy lacked used to arrive by itself, and for a while nothing has. What is missing or different is \
             called back as it is found. Look at what copies the rows."
        }
        Event::Lag => "A table has not been looked at as often as it should. Differences are found late.",
        Event::State => {
            "Nothing is scanned and nothing is sent until the state can be written. Look at its disk."
        }
        Event::Unreachable => "Nothing can be compared there until the database answers. cupid keeps trying.",
        Event::Disk => {
            "When the disk with the state is full, nothing is scanned and nothing is sent any more."
        }
        Event::Memory => "When memory is used up, the system may end cupid. Nothing would be lost.",
        Event::Descriptors => {
            "When they are used up, no new connection can be made. Raise the limit (LimitNOFILE)."
        }
        Event::Reload => {
            "The file was to be looked at again (SIGHUP) and has problems. cupid goes on with the configuration that it has; a \
             restart would fail. The log and `cupid check` name the problems."
        }
        Event::Audit => {
            "All rows were compared, as the schedule says. What is missing or different is called back like everything else; rows \
             that only the copy has are with the next sweep, if `delete` says so. `cupid status` tells what was found, and what was not compared."
        }
        Event::Restarted => {
            "This is a bug. Nothing is lost, the other parts go on. Please report it with the log."
        }
    }
}

fn over(event: Event) -> &'static str {
    match event {
        Event::Failing => {
            "No callback is tried slowly any more. What still waits for a quick try is sent without anybody's help."
        }
        Event::Dead => "No delivery waits for a person any more.",
        Event::NotFixed | Event::Ambiguous => "It has not happened again.",
        Event::Hot => "All of these rows have stood still and were judged.",
        Event::Blocked => "The task goes on.",
        Event::Emptied | Event::Gone => "Callbacks go on.",
        Event::StoppedFollowing => "The copy follows again.",
        Event::Lag => "Looks are in time again.",
        Event::State => "The state can be written again.",
        Event::Unreachable => "The database answers again.",
        Event::Disk | Event::Memory | Event::Descriptors => "There is enough again.",
        Event::Reload => "The file can be used again.",
        Event::Audit => "The last audit has compared everything and found no difference.",
        Event::Restarted => "It runs.",
    }
}

fn extent(event: Event, part: u64, whole: u64) -> String {
    match event {
        Event::Emptied => {
            format!("{part} of {whole} rows that agreed before, looked up as a sample, are missing")
        }
        Event::Descriptors => format!("{part} of {whole} left"),
        _ => format!("{part} of {whole} MiB left"),
    }
}

fn several(lasting: usize, recovered: usize) -> String {
    match (lasting, recovered) {
        (lasting, 0) => format!("{lasting} alerts"),
        (0, recovered) => format!("{recovered} recovered"),
        (lasting, recovered) => format!("{lasting} alerts, {recovered} recovered"),
    }
}

fn length(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
