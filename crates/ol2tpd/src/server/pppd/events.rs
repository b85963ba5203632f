//! The ACCMs that pppd's plugin openl2tp.so tells. Whoever wants them has `plugin openl2tp.so` in `pppd-options`.
//!
//! A datagram, all numbers in the machine's order but for ACCMs, which are as on the wire:
//!
//! ```text
//!   u32 signature │ u16 type │ u16 length of what follows │ { u16 type │ u16 length │ value, padded to 4 } …
//! ```

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use l2tp_control::wire::Accm;
use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixDatagram;

/// Where the plugin sends to. It cannot be told another place.
pub(super) const PATH: &str = "/tmp/openl2tp-event.sock";
/// The word of `pppd-options` that loads it.
pub(super) const PLUGIN: &str = "openl2tp.so";
const SIGNATURE: u32 = 0x6b6c_7831;
const ACCM: u16 = 2;
/// No message is longer.
const MAX: usize = 512;

/// Types of values.
mod value {
    pub(super) const TUNNEL_ID: u16 = 0;
    pub(super) const SESSION_ID: u16 = 1;
    pub(super) const ACCM: u16 = 2;
}

/// What the line of a session's LAC has to escape, by our ids.
#[derive(PartialEq, Eq, Debug)]
pub(in crate::server) struct LinkInfo {
    pub(super) tunnel_id: u16,
    pub(super) session_id: u16,
    pub(super) accm: Accm,
}

/// The socket; its file goes with it.
pub(super) struct Events(UnixDatagram);

impl Events {
    /// Listens, for root alone: whoever can send could have SLIs sent.
    pub(super) fn listen() -> io::Result<Self> {
        match fs::remove_file(PATH) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self(UnixDatagram::from_std(private(Path::new(PATH))?)?))
    }

    /// Waits for something that makes sense.
    pub(super) async fn next(&self) -> LinkInfo {
        let mut datagram = [0; MAX];
        loop {
            // The only errors are that there is no memory.
            if let Ok(len) = self.0.recv(&mut datagram).await
                && let Some(info) = parse(&datagram[..len])
            {
                return info;
            }
        }
    }
}

/// A socket that only its owner may send to. Its file has that mode from the beginning: who is connected before it
/// is changed stays connected.
fn private(path: &Path) -> io::Result<std::os::unix::net::UnixDatagram> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(true)?;
    Ok(OwnedFd::from(socket).into())
}

impl Drop for Events {
    fn drop(&mut self) {
        // Nobody is left to tell; the next daemon replaces it.
        let _ = fs::remove_file(PATH);
    }
}

fn parse(datagram: &[u8]) -> Option<LinkInfo> {
    let (head, rest) = datagram.split_first_chunk::<8>()?;
    let [s0, s1, s2, s3, k0, k1, l0, l1] = *head;
    let mut rest = rest.get(..usize::from(u16::from_ne_bytes([l0, l1])))?;
    if u32::from_ne_bytes([s0, s1, s2, s3]) != SIGNATURE || u16::from_ne_bytes([k0, k1]) != ACCM {
        return None;
    }
    let (mut tunnel_id, mut session_id, mut accm) = (None, None, None);
    while let Some((head, values)) = rest.split_first_chunk::<4>() {
        let [t0, t1, l0, l1] = *head;
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = values.get(..len)?;
        let number = || value.try_into().ok().map(u16::from_ne_bytes);
        match u16::from_ne_bytes([t0, t1]) {
            value::TUNNEL_ID => tunnel_id = number(),
            value::SESSION_ID => session_id = number(),
            value::ACCM => {
                let (send, receive) = value.split_first_chunk::<4>()?;
                let receive = receive.try_into().ok()?;
                accm = Some(Accm { send: u32::from_be_bytes(*send), receive: u32::from_be_bytes(receive) });
            }
            _ => {}
        }
        rest = values.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(LinkInfo { tunnel_id: tunnel_id?, session_id: session_id?, accm: accm? })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nobody_else_may_ever_send() {
        let path = std::env::temp_dir().join(format!("ol2tp-private-{}", std::process::id()));
        let _socket = private(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        fs::remove_file(&path).unwrap();
        assert_eq!(mode & 0o777, 0o600);
    }

    fn message(kind: u16, values: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in values {
            body.extend(kind.to_ne_bytes());
            body.extend((value.len() as u16).to_ne_bytes());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = SIGNATURE.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend((body.len() as u16).to_ne_bytes());
        message.extend(body);
        message
    }

    #[test]
    fn accms_are_understood() {
        let (tunnel, session) = (1u16.to_ne_bytes(), 2u16.to_ne_bytes());
        let ids: [(u16, &[u8]); 2] = [(value::TUNNEL_ID, &tunnel), (value::SESSION_ID, &session)];
        let accm = [0, 10, 0, 0, 0xff, 0xff, 0xff, 0xff];
        let values = [(6, &[1][..]), ids[0], ids[1], (value::ACCM, &accm)];
        let full = message(ACCM, &values);
        let accm = Accm { send: 0x000a_0000, receive: u32::MAX };
        assert_eq!(parse(&full), Some(LinkInfo { tunnel_id: 1, session_id: 2, accm }));
        assert_eq!(parse(&message(ACCM + 1, &values)), None);
        assert_eq!(parse(&message(ACCM, &values[2..])), None);
        // Cut anywhere, it is nothing or the same.
        for len in 0..full.len() {
            assert_eq!(parse(&full[..len]), None, "{len}");
        }
    }
}
