//! What people can be told about, and how urgent that is.

/// How urgent an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it today.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word used in the configuration and in messages for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// The events people can be told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// Callbacks used up their quick tries.
    Failing,
    /// Deliveries wait for a person.
    Dead,
    /// The receiver said yes and the copy still differs.
    NotFixed,
    /// Several rows carry one key.
    Ambiguous,
    /// Rows change more often than can be followed.
    Hot,
    /// A task cannot go on until a person acts.
    Blocked,
    /// Rows that agreed before are gone from the copy: nothing is sent any more.
    Emptied,
    /// The receiver says that it is gone: nothing is sent to it any more.
    Gone,
    /// Copies that followed, late or not, do not follow any more.
    StoppedFollowing,
    /// Looks at a table are late.
    Lag,
    /// The state cannot be written.
    State,
    /// A database cannot be reached.
    Unreachable,
    /// The disk with the state is nearly full.
    Disk,
    /// The machine, or what this process may use of it, is nearly out of memory.
    Memory,
    /// This process is nearly out of file descriptors.
    Descriptors,
    /// The configuration was changed, and the daemon cannot use it: it goes on with the one that it has.
    Reload,
    /// An audit ended with differences, or could not compare everything.
    Audit,
    /// A part of the daemon ended and was started again.
    Restarted,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 18] = [
        Self::Failing,
        Self::Dead,
        Self::NotFixed,
        Self::Ambiguous,
        Self::Hot,
        Self::Blocked,
        Self::Emptied,
        Self::Gone,
        Self::StoppedFollowing,
        Self::Lag,
        Self::State,
        Self::Unreachable,
        Self::Disk,
        Self::Memory,
        Self::Descriptors,
        Self::Reload,
        Self::Audit,
        Self::Restarted,
    ];

    /// The word used in the configuration and in messages for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Dead => "dead",
            Self::NotFixed => "not fixed",
            Self::Ambiguous => "ambiguous",
            Self::Hot => "hot",
            Self::Blocked => "blocked",
            Self::Emptied => "emptied",
            Self::Gone => "gone",
            Self::StoppedFollowing => "stopped following",
            Self::Lag => "lag",
            Self::State => "state",
            Self::Unreachable => "unreachable",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Reload => "reload",
            Self::Audit => "audit",
            Self::Restarted => "restarted",
        }
    }

    /// How urgent it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Dead
            | Self::Blocked
            | Self::Emptied
            | Self::Gone
            | Self::StoppedFollowing
            | Self::State
            | Self::Unreachable => Severity::Critical,
            Self::Failing
            | Self::NotFixed
            | Self::Ambiguous
            | Self::Hot
            | Self::Lag
            | Self::Disk
            | Self::Memory
            | Self::Descriptors
            | Self::Reload
            | Self::Audit => Severity::Warning,
            Self::Restarted => Severity::Info,
        }
    }
}

/// One word of `on`: an event, or everything from a severity on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// This event.
    Event(Event),
    /// Everything that severe, or more so.
    From(Severity),
}

impl Topic {
    /// The topic of a word; `_` stands for a space.
    pub fn parse(word: &str) -> Option<Self> {
        let spaced = word.replace('_', " ");
        let event = Event::ALL.into_iter().find(|event| event.as_str() == spaced).map(Self::Event);
        event.or_else(|| Severity::ALL.into_iter().find(|s| s.as_str() == word).map(Self::From))
    }

    /// Every word, severities first.
    pub fn words() -> impl Iterator<Item = &'static str> {
        Severity::ALL.into_iter().map(Severity::as_str).chain(Event::ALL.into_iter().map(Event::as_str))
    }

    /// Whether it takes in an event.
    pub fn covers(self, event: Event) -> bool {
        match self {
            Self::Event(one) => one == event,
            Self::From(severity) => event.severity() >= severity,
        }
    }
}
