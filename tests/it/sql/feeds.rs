//! The insert and the update feed on every engine.
