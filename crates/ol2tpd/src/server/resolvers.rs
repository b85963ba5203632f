//! Name servers that a client is told of by router advertisements (RFC 8106): IPv6's own way, as IPCP's is
//! IPv4's. The kernel checks the advertisements and passes their options on. What a server has told counts until
//! it takes it back or the session ends.

use std::future::pending;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, Waker};

use pppol2tp::netlink::{RouterOption, RouterOptions};
use tokio::io::unix::AsyncFd;
use tracing::warn;

use super::Reactor;
use super::network::Up;
use crate::advert::message;
use crate::config::Dial;
use crate::error::{Doing, Result};
use crate::serve::readable;

/// Tells of options of router advertisements.
pub(super) struct Resolvers {
    options: RouterOptions,
    ready: AsyncFd<OwnedFd>,
}

impl Resolvers {
    fn watch() -> Result<Self> {
        let doing = || "listening for name servers of router advertisements".into();
        let options = RouterOptions::open().doing(doing)?;
        let fd = options.as_fd().try_clone_to_owned().doing(doing)?;
        Ok(Self { options, ready: readable(fd)? })
    }

    fn take(&mut self) -> Vec<RouterOption> {
        let ready = self.ready.poll_read_ready(&mut Context::from_waker(Waker::noop()));
        let mut taken = Vec::new();
        // Whatever cannot be read is told again.
        while let Ok(Some(option)) = self.options.recv() {
            taken.push(option);
        }
        if let Poll::Ready(Ok(mut guard)) = ready {
            guard.clear_ready();
        }
        taken
    }
}

/// Waits until an option has come.
pub(super) async fn told(resolvers: Option<&Resolvers>) {
    match resolvers {
        // An error is one of the descriptor, which reading it tells.
        Some(resolvers) => drop(resolvers.ready.readable().await),
        None => pending().await,
    }
}

impl Reactor<'_> {
    /// For connections of ours.
    pub(super) fn watch_resolvers(&mut self) {
        if self.resolvers.is_none() {
            match Resolvers::watch() {
                Ok(resolvers) => self.resolvers = Some(resolvers),
                Err(error) => warn!("{error}"),
            }
        }
    }

    pub(super) fn resolvers_advertised(&mut self) {
        let options = self.resolvers.as_mut().map(Resolvers::take).unwrap_or_default();
        for RouterOption { interface, bytes } in options {
            let Some((lifetime, servers)) = message::resolvers(&bytes) else { continue };
            let servers: Vec<_> =
                servers.filter(|_| lifetime > 0).map(IpAddr::V6).take(message::RESOLVERS).collect();
            let ours = self.sessions.values_mut().filter(|session| session.dial.is_some());
            let mut ups = ours.filter_map(|session| Some((session.dial?, session.up.as_mut()?)));
            let Some((dial, up)) = ups.find(|(_, up)| up.index == interface) else { continue };
            if up.advertised != servers {
                up.advertised = servers;
                set(&self.names, self.dials.config(dial), up);
            }
        }
    }
}

/// Tells this machine's resolver of all name servers that a session has.
pub(super) fn set(names: &super::names::Names, dial: &Dial, up: &Up) {
    let servers: Vec<_> =
        up.networks().flat_map(|network| &network.dns).chain(&up.advertised).copied().collect();
    match servers.is_empty() {
        true => names.unset(&up.interface),
        false => names.set(dial.dns, &up.interface, &servers, dial.default_route),
    }
}
