//! What a session may do, and what it costs.
