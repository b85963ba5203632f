//! IPsec policies: what they ask for, the fast path would leave out.

use std::io;
use std::net::IpAddr;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_XFRM};

use super::Why;
use crate::Prefix;

// Of linux/netlink.h and linux/xfrm.h.
const REQUEST_DUMP: u16 = 0x1 | 0x300;
const GET_POLICY: u16 = 0x15;
const NEW_POLICY: u16 = 0x13;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const HEADER: usize = 16;
/// `struct xfrm_userpolicy_id`.
const ID: usize = 64;
/// In `struct xfrm_userpolicy_info`: addresses, then ports and masks, then these.
const DESTINATION: usize = 0;
const FAMILY: usize = 40;
const PREFIX: usize = 42;
const PROTOCOL: usize = 44;
/// The index' lowest bits say which way: 1 is out; from 3 on it is a socket's own.
const INDEX: usize = 156;
const OUT: u8 = 1;

/// Errors: there is a policy for UDP to this address.
pub(super) fn none_for(peer: IpAddr) -> Result<(), Why> {
    let policies = match policies() {
        Ok(policies) => policies,
        // A kernel without IPsec.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPROTONOSUPPORT | libc::ENOENT)) => {
            return Ok(());
        }
        Err(error) => return Err(format!("asking for IPsec policies: {error}").into()),
    };
    if policies.iter().any(|policy| policy.contains(peer)) {
        return Err(format!("IPsec protects what goes to {peer}").into());
    }
    Ok(())
}

/// Where the policies lead that UDP leaves by.
fn policies() -> io::Result<Vec<Prefix>> {
    let mut socket = Socket::new(NETLINK_XFRM)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = [0; HEADER + ID];
    request[..4].copy_from_slice(&((HEADER + ID) as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&GET_POLICY.to_ne_bytes());
    request[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    socket.send(&request, 0)?;
    let mut found = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while let Some((len, kind)) = head(rest) {
            let body = rest.get(HEADER..len).unwrap_or_default();
            match kind {
                DONE => return Ok(found),
                ERROR => {
                    let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                    return if code == 0 { Ok(found) } else { Err(io::Error::from_raw_os_error(-code)) };
                }
                NEW_POLICY => found.extend(destination(body)),
                _ => {}
            }
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn head(message: &[u8]) -> Option<(usize, u16)> {
    let len = u32::from_ne_bytes(*message.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    (len >= HEADER).then_some((len, kind))
}

/// Where a policy leads, if it is for UDP that leaves.
fn destination(policy: &[u8]) -> Option<Prefix> {
    let family = u16::from_ne_bytes(*policy.get(FAMILY..)?.first_chunk()?);
    let (len, protocol) = (*policy.get(PREFIX)?, *policy.get(PROTOCOL)?);
    let way = policy.get(INDEX..)?.first_chunk::<4>().map(|index| u32::from_ne_bytes(*index) as u8 & 7)?;
    let address = match i32::from(family) {
        libc::AF_INET => IpAddr::from(*policy.get(DESTINATION..)?.first_chunk::<4>()?),
        libc::AF_INET6 => IpAddr::from(*policy.get(DESTINATION..)?.first_chunk::<16>()?),
        _ => return None,
    };
    let applies = way == OUT && matches!(i32::from(protocol), 0 | libc::IPPROTO_UDP);
    applies.then_some(Prefix { address, len })
}
