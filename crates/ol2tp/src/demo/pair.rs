//! A client and a server, each in a namespace of a bed.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;

use nix::net::if_::if_nametoindex;
use ol2tpd::Notice;

use crate::bed::{Bed, RIGHT};
use crate::end::End;
use crate::exit::{Doing, Failure, Result};
use crate::{load, password};

const USER: &str = "demo";
const PASSWORD: &str = "sesame";
const SECRET: &str = "open";

/// A session between them.
pub(super) struct Pair {
    client: End,
    server: End,
    /// The client's inner IPv4 address.
    client4: IpAddr,
    /// The server's inner IPv4 address.
    pub(super) server4: IpAddr,
    /// The server's link-local address, at the client's interface.
    pub(super) server6: SocketAddr,
}

impl Pair {
    /// Starts the server and then the client, and waits until IPv4 and IPv6 are up. Messages are told
    /// as they come and go at the client: whether it has sent them, and what they say.
    ///
    /// Errors: either does not start, or the session does not come up: they have said why on standard
    /// error.
    pub(super) fn start(
        bed: &Bed,
        program: &Path,
        mode: &str,
        mut on_message: impl FnMut(bool, &str) -> Result<()>,
    ) -> Result<Self> {
        let (host, user) = (RIGHT.to_string(), format!("{USER}:{PASSWORD}"));
        let serve = [
            &["serve", "--listen", &host, "--secret", SECRET, "--user", &user, "--auth", "mschapv2"][..],
            &["--local-address", "10.64.0.1", "--pool", "10.64.0.2-10.64.0.254"],
            &["--ipv6-pool", "2001:db8:64::/48", "--dns", "10.64.0.1", "--mode", mode],
        ];
        let mut server = End::spawn(&bed.right, program, &serve.concat(), &[])?;
        while !matches!(next(&mut server)?, Notice::Listening { .. }) {}

        let connect = [
            "connect", &host, "--user", USER, "--secret", SECRET, "--dns", "none", "--trace", "--mode", mode,
        ];
        let mut client = End::spawn(&bed.left, program, &connect, &[(password::VARIABLE, PASSWORD)])?;
        let (mut inner4, mut server6) = (None, None);
        loop {
            match next(&mut client)? {
                Notice::Message { sent, text } => on_message(sent, &text)?,
                Notice::SessionUp { local, remote: remote @ IpAddr::V4(_), .. } => {
                    inner4 = Some((local, remote));
                }
                Notice::SessionUp { remote: IpAddr::V6(address), interface, .. } => {
                    let index =
                        bed.left.enter(|| Ok(if_nametoindex(interface.as_str())?)).doing(&interface)?;
                    server6 = Some(SocketAddrV6::new(address, 0, 0, index));
                }
                _ => {}
            }
            if let (Some((client4, server4)), Some(server6)) = (inner4, server6) {
                return Ok(Self { client, server, client4, server4, server6: server6.into() });
            }
        }
    }

    /// The way from the client to the server through the tunnel.
    pub(super) fn path<'a>(&self, bed: &'a Bed) -> load::Path<'a> {
        load::Path { from: &bed.left, to: &bed.right, source: self.client4, target: self.server4 }
    }

    /// Whether the client's session takes the fast path: `on`, or why not.
    pub(super) fn fast(&mut self) -> Result<String> {
        self.client.fast()
    }

    /// Counters that tell of lost frames and are not 0, as `client rx_errors 3`.
    pub(super) fn errors(&mut self) -> Result<Vec<String>> {
        let mut errors = self.client.errors("client")?;
        errors.extend(self.server.errors("server")?);
        Ok(errors)
    }

    /// Ends the client, and with it the session, then the server.
    pub(super) fn stop(self) -> Result<()> {
        self.client.stop()?;
        self.server.stop()
    }
}

fn next(end: &mut End) -> Result<Notice> {
    end.told()?.ok_or_else(|| Failure::new("the session did not come up, see above"))
}
