//! Sets `TCP_NODELAY` on the connections sqlx has opened.
//!
//! sqlx 0.9.0 lost that setting. On MySQL and MariaDB each "close statement" is then answered only after the
//! kernel's delayed acknowledgement: some 40 ms per query as soon as the statement cache overflows. sqlx does not
//! hand out its socket, so this goes over the process's own descriptors and repairs those that are connected to
//! the database's port. The test `fifty_unprepared_queries_do_not_stall` says when this file can go.

use std::fs;
use std::os::fd::BorrowedFd;

use socket2::SockRef;

/// Sets `TCP_NODELAY` on every socket of this process whose peer listens on `port`. Failures are ignored: a
/// missing repair costs time, never correctness.
pub(super) fn repair(port: u16) {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let descriptors = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for fd in descriptors.collect::<Vec<_>>() {
        set_if_peer(fd, port);
    }
}

#[expect(
    unsafe_code,
    reason = "sqlx does not hand out its socket; the descriptor can only be borrowed by number"
)]
fn set_if_peer(fd: i32, port: u16) {
    // SAFETY: the borrow lasts for the three system calls below and never closes the descriptor. Another thread may
    // close it meanwhile and even reuse its number; then the calls fail, or set NODELAY on another TCP connection to
    // the same port, which does no harm. No memory is reached through it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let socket = SockRef::from(&borrowed);
    let peer_port = socket.peer_addr().ok().and_then(|peer| peer.as_socket().map(|address| address.port()));
    if peer_port == Some(port) {
        let _ = socket.set_tcp_nodelay(true);
    }
}
