//! Names and identities. Newtypes, so that a task cannot be passed where a destination is meant.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a name that the configuration has already checked.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as written in the configuration.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// A task: one source and its destinations. A legacy file is one task, named `main`.
    TaskName
);
name!(
    /// A destination, unique within its task.
    DestinationName
);

/// One way of walking a source; each has a cursor per destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feed {
    /// By the integer key, upwards.
    Insert,
    /// By the update time, in overlapping windows.
    Update,
    /// By the integer key, slowly, over all rows again and again: finds what the others cannot see.
    Sweep,
    /// By the destination's own keys, slowly: finds rows that only the copy has.
    Extra,
    /// Over all rows of both sides at certain times, as fast as that goes. It has no cursor.
    Audit,
}

impl Feed {
    /// The word used in the state, in logs and in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Sweep => "sweep",
            Self::Extra => "extra",
            Self::Audit => "audit",
        }
    }

    /// The inverse of [`Feed::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "insert" => Some(Self::Insert),
            "update" => Some(Self::Update),
            "sweep" => Some(Self::Sweep),
            "extra" => Some(Self::Extra),
            "audit" => Some(Self::Audit),
            _ => None,
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The opaque place a feed has reached. Only the source that made it can read it.
///
/// Its text is durable. Beside it a source may carry what it has made of that text, so that it need not read it
/// again; that is lost at a restart.
#[derive(Clone, Debug)]
pub struct Position {
    text: Box<str>,
    memory: Option<Arc<dyn Any + Send + Sync>>,
}

impl Position {
    /// A position that is all in its text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self { text: text.into(), memory: None }
    }

    /// A position with a memory.
    pub fn with_memory(text: impl Into<Box<str>>, memory: Arc<dyn Any + Send + Sync>) -> Self {
        Self { text: text.into(), memory: Some(memory) }
    }

    /// The text, to be stored or to be read by its source.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has a memory.
    pub fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// The memory, if it is one of this type.
    pub fn memory<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.memory.clone()?.downcast().ok()
    }
}

/// Equal positions have the same text and share one memory: reading from either gives the same rows.
impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        let memory = match (&self.memory, &other.memory) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        memory && self.text == other.text
    }
}

impl Eq for Position {}

/// The value of the source's integer key: wide enough for signed and unsigned 64-bit columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub i128);

impl RowId {
    /// No row of the source: only the copy has it.
    pub const NONE: Self = Self(i128::MIN);
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of a delivery over all its attempts, revisions, crashes and replays (UUID version 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub uuid::Uuid);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Identity of one execution of a scan pass (UUID version 7), written on what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub uuid::Uuid);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}
