//! The way in to a running daemon. Acts only through [`ControlHandle`](crate::engine::ControlHandle).

mod socket;
mod verbs;

pub use socket::{ControlSocket, PAYLOAD_LIMIT, ask, ask_with, path_beside};
