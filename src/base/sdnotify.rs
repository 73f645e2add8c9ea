//! Tells systemd (`Type=notify`) where the daemon stands. Without `$NOTIFY_SOCKET` nothing happens.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends `READY=1`, `STOPPING=1`, `STATUS=…` to the address in `$NOTIFY_SOCKET`.
pub fn notify(address: Option<&str>, message: &str) -> io::Result<()> {
    let Some(address) = address else { return Ok(()) };
    let socket = UnixDatagram::unbound()?;
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    socket.send_to_addr(message.as_bytes(), &address).map(drop)
}
