//! What the tests stand on: servers, databases, a receiver, the daemon, and waiting for conditions.

pub mod blind;
pub mod canal;
pub mod chinook;
pub mod config;
pub mod daemon;
pub mod db;
pub mod dice;
pub mod disk;
pub mod faketime;
pub mod held;
pub mod pair;
pub mod proxy;
pub mod receiver;
pub mod servers;
pub mod state;
pub mod temp;
pub mod wait;
