//! The addresses of this machine that tunnels of ours come from. A peer knows a tunnel by them: once one has
//! gone, nothing that is sent is heard any more, and nobody has to be silent for long to prove it.

use std::future::pending;
use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, Waker};

use l2tp_control::Cause;
use l2tp_control::wire::StopResult;
use pppol2tp::netlink::Notices;
use tokio::io::unix::AsyncFd;
use tracing::warn;

use super::Reactor;
use super::ending::Ending;
use super::key::Key;
use crate::error::{Doing, Result};
use crate::serve::readable;

/// Tells when addresses of this machine come and go.
pub(super) struct Addresses {
    notices: Notices,
    ready: AsyncFd<OwnedFd>,
}

impl Addresses {
    fn watch() -> Result<Self> {
        let doing = || "watching this machine's addresses".into();
        let notices = Notices::of_addresses().doing(doing)?;
        let fd = notices.as_fd().try_clone_to_owned().doing(doing)?;
        Ok(Self { notices, ready: readable(fd)? })
    }

    /// Takes what was told.
    fn drain(&mut self) {
        let ready = self.ready.poll_read_ready(&mut Context::from_waker(Waker::noop()));
        // What cannot be read counts as a change: the addresses are looked at in any case.
        while let Ok(Some(_)) = self.notices.recv() {}
        if let Poll::Ready(Ok(mut guard)) = ready {
            guard.clear_ready();
        }
    }
}

/// Waits until an address of this machine has come or gone.
pub(super) async fn changed(addresses: Option<&Addresses>) {
    match addresses {
        // An error is one of the descriptor, which reading it tells.
        Some(addresses) => drop(addresses.ready.readable().await),
        None => pending().await,
    }
}

impl Reactor<'_> {
    /// For connections of ours; a server need not know of each address that a session gets.
    pub(super) fn watch_addresses(&mut self) {
        if self.addresses.is_none() {
            match Addresses::watch() {
                Ok(addresses) => self.addresses = Some(addresses),
                Err(error) => warn!("{error}: a connection whose address goes is lost after a time only"),
            }
        }
    }

    /// Ends the connections of ours whose address is not this machine's any more.
    pub(super) fn addresses_changed(&mut self) {
        if let Some(addresses) = &mut self.addresses {
            addresses.drain();
        }
        let now = self.clock.now();
        let lost = |tunnel| {
            let local = self.tunnels.get(&tunnel)?.peer.path.local?;
            has_gone(local).then_some((tunnel, local))
        };
        for (tunnel, local) in self.dials.open().filter_map(lost).collect::<Vec<_>>() {
            for (_, session) in self.sessions.range_mut(Key::all_of(tunnel)) {
                session.ends(Ending::address_gone(local));
            }
            // Nobody hears why: it is not waited for.
            let _ = self.endpoint.close(now, tunnel, Cause::new(StopResult::CLEAR));
            self.pump(now);
        }
    }
}

/// Whether this machine does not have an address any more. The address may have been moved to another interface.
fn has_gone(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_this_machine_has_has_not_gone() {
        for (address, gone) in
            [("127.0.0.1", false), ("192.0.2.77", true), ("2001:db8::77", true), ("fe80::1", false)]
        {
            // What is not known, as of a link-local address without its interface, has not gone.
            assert_eq!(has_gone(address.parse().unwrap()), gone, "{address}");
        }
    }
}
