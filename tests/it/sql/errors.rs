//! Failures are told apart, and told well.
