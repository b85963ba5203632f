//! What only `/proc/net/pppol2tp` tells of a session: Nr and Ns.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The next Ns expected, and the next to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Numbers {
    pub(super) nr: u16,
    pub(super) ns: u16,
}

/// By local tunnel and session id; what cannot be read is left out.
pub(super) fn read(file: &File) -> BTreeMap<(u16, u16), Numbers> {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(len @ 1..) = file.read_at(&mut part, text.len() as u64) {
        text.extend_from_slice(&part[..len]);
    }
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> BTreeMap<(u16, u16), Numbers> {
    let mut numbers = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // Of the heading, too; there the words are no numbers.
        if line.trim_start().starts_with("SESSION")
            && let Some(ids) = ids(line)
            && let Some(found) = lines.nth(1).and_then(counts)
        {
            numbers.insert(ids, found);
        }
    }
    numbers
}

/// `SESSION 'sess 1/10', 7F000001/1701 0001/000A -> 0002/0014 3 Y`.
fn ids(line: &str) -> Option<(u16, u16)> {
    let (ours, _) = line.split_once(" -> ")?;
    let (tunnel, session) = ours.rsplit(' ').next()?.split_once('/')?;
    Some((u16::from_str_radix(tunnel, 16).ok()?, u16::from_str_radix(session, 16).ok()?))
}

/// `nr/ns` and counters.
fn counts(line: &str) -> Option<Numbers> {
    let (nr, ns) = line.split_whitespace().next()?.split_once('/')?;
    Some(Numbers { nr: nr.parse().ok()?, ns: ns.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_sessions_are_read() {
        let text = "PPPoL2TP driver info, V2.0\n\
             TUNNEL name, user-data-ok session-count\n debug tx-pkts/bytes/errs rx-pkts/bytes/errs\n\
             \x20 SESSION name, addr/port src-tid/sid dest-tid/sid state user-data-ok\n\
             \x20  mtu/mru/rcvseq/sendseq/lns debug reorderto\n\
             \x20  nr/ns tx-pkts/bytes/errs rx-pkts/bytes/errs\n\
             \n\
             TUNNEL 'tunl 1', Y 2\n 00000000 2/32/0 3/60/0\n\
             \x20 SESSION 'sess 1/10' 7F000001/1701 0001/000A -> 0002/0014 3 Y\n\
             \x20  0/0/-/S/LAC 00000000 0\n\x20  65535/7 2/32/0 3/60/0\n\x20  interface ppp0\n\
             \x20 SESSION 'sess 1/11' 7F000001/1701 0001/000B -> 0002/0015 1 Y\n\
             \x20  0/0/-/-/LAC 00000000 0\n\x20  junk\n";
        assert_eq!(parse(text), BTreeMap::from([((1, 10), Numbers { nr: 65535, ns: 7 })]));
        assert_eq!(
            parse("  SESSION 'sess 1/10' 7F000001/1701 0001/000A -> 0002/0014 3 Y\n"),
            BTreeMap::new()
        );
    }
}
