//! Calls of 32-bit programs that have a second door: `socketcall` and `ipc`, whose first argument says which is meant.

use super::rules::{Compare, Condition};

/// Names by the number that `socketcall` has for them, from 1.
const SOCKETS: [&str; 20] = [
    "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
    "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg",
    "sendmmsg",
];

/// The same for `ipc`.
const IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The other call by which `name` can be made, and how it is told there.
pub(super) fn door(name: &str) -> Option<(&'static str, Condition)> {
    let at = |compare, value| Condition { argument: 0, compare, value };
    if let Some(number) = SOCKETS.iter().position(|socket| *socket == name) {
        return Some(("socketcall", at(Compare::Equal, number as u64 + 1)));
    }
    // The upper half of the number is a version.
    let (_, number) = IPC.iter().find(|(ipc, _)| *ipc == name)?;
    Some(("ipc", at(Compare::Masked(0xffff), *number)))
}
