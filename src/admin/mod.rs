//! The way in to a running daemon. Acts only through [`ControlHandle`](crate::engine::ControlHandle).

mod socket;

pub use socket::{ControlSocket, ask, path_beside};
