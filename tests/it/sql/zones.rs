//! Servers in other zones.
