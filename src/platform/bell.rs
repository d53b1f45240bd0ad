//! Doorbells: how one process wakes another without a server and without polling.
//!
//! A bell is a unix datagram socket in the abstract namespace: it has a name, no file, and is
//! gone with its process. Ringing never blocks and never fails loudly, because the bell carries
//! no truth: the row in the database does, and a waiter looks at it once more after binding.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::clock;

/// What a ring says. It is a hint: the row is the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// The ticket was granted.
    Granted,
    /// Something else about the ticket changed: look at it.
    Look,
}

/// A bound doorbell.
#[derive(Debug)]
pub struct Bell {
    socket: UnixDatagram,
    name: String,
}

impl Bell {
    /// Binds the bell `name`; `None` where the system gives no such sockets.
    pub fn bind(name: &str) -> Option<Self> {
        let (_, local) = name.split_once('/')?;
        let address = SocketAddr::from_abstract_name(local).ok()?;
        let socket = UnixDatagram::bind_addr(&address).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self {
            socket,
            name: name.to_owned(),
        })
    }

    /// The name to write into the ticket's row.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes all rings off the bell; [`Ring::Granted`] if one of them said so.
    pub fn drain(&self) -> Option<Ring> {
        let mut heard = None;
        let mut byte = [0_u8; 1];
        while let Ok(read) = self.socket.recv(&mut byte) {
            let granted = read == 1 && byte[0] == b'g';
            if granted || heard.is_none() {
                heard = Some(if granted { Ring::Granted } else { Ring::Look });
            }
        }
        heard
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A name for a bell of this process: the network namespace (bells are heard only inside one)
/// and `digits`, which the caller draws at random.
pub fn name_for(digits: u128) -> String {
    format!("{}/plandex-{digits:032x}", network())
}

/// Whether a ring of this process can reach the bell `name`.
pub fn is_in_reach(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(place, _)| place == network().to_string())
}

/// Rings the bell `name`. A full bell is rung already; one without an owner means nothing.
pub fn ring(name: &str, ring: Ring) {
    let Some((_, local)) = name.split_once('/') else {
        return;
    };
    let Ok(address) = SocketAddr::from_abstract_name(local) else {
        return;
    };
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    if socket.set_nonblocking(true).is_err() {
        return;
    }
    let byte: &[u8] = match ring {
        Ring::Granted => b"g",
        Ring::Look => b"l",
    };
    // Lost rings are covered by the waiter's own look each second.
    drop(socket.send_to_addr(byte, &address));
}

fn network() -> i64 {
    static HERE: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *HERE.get_or_init(|| clock::namespace("net"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_heard_once_and_grants_win() {
        let bell = Bell::bind(&name_for(uuid::Uuid::now_v7().as_u128())).unwrap();
        assert_eq!(bell.drain(), None);
        ring(bell.name(), Ring::Look);
        ring(bell.name(), Ring::Granted);
        ring(bell.name(), Ring::Look);
        assert_eq!(bell.drain(), Some(Ring::Granted));
        assert_eq!(bell.drain(), None);
    }

    #[test]
    fn a_full_or_missing_bell_never_blocks_the_ringer() {
        let bell = Bell::bind(&name_for(uuid::Uuid::now_v7().as_u128())).unwrap();
        for _ in 0..10_000 {
            ring(bell.name(), Ring::Look);
        }
        let name = bell.name().to_owned();
        drop(bell);
        ring(&name, Ring::Granted);
    }
}
