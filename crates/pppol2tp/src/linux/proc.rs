//! What only `/proc/net/pppol2tp` tells of a session: Nr and Ns, and the interface, which another program may
//! have made.

use std::collections::BTreeMap;
use std::fs;

/// The next Ns expected, the next to send, and the interface of the unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Told {
    pub(super) nr: u16,
    pub(super) ns: u16,
    pub(super) interface: Option<String>,
}

/// By local tunnel and session id; what cannot be read is left out. The file is opened each time: the kernel
/// forgets the tunnels of one that is read again from its beginning.
pub(super) fn read() -> BTreeMap<(u16, u16), Told> {
    let text = fs::read("/proc/thread-self/net/pppol2tp").unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> BTreeMap<(u16, u16), Told> {
    let mut told = BTreeMap::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // Of the heading, too; there the words are no numbers.
        if line.trim_start().starts_with("SESSION")
            && let Some(ids) = ids(line)
            && let Some(found) = lines.nth(1).and_then(counts)
        {
            let interface = lines.peek().and_then(|line| line.strip_prefix("   interface "));
            // What the kernel writes of one that has no unit.
            let interface = interface.filter(|name| *name != "(null)");
            told.insert(ids, Told { interface: interface.map(str::to_owned), ..found });
        }
    }
    told
}

/// `SESSION 'sess 1/10', 7F000001/1701 0001/000A -> 0002/0014 3 Y`.
fn ids(line: &str) -> Option<(u16, u16)> {
    let (ours, _) = line.split_once(" -> ")?;
    let (tunnel, session) = ours.rsplit(' ').next()?.split_once('/')?;
    Some((u16::from_str_radix(tunnel, 16).ok()?, u16::from_str_radix(session, 16).ok()?))
}

/// `nr/ns` and counters.
fn counts(line: &str) -> Option<Told> {
    let (nr, ns) = line.split_whitespace().next()?.split_once('/')?;
    Some(Told { nr: nr.parse().ok()?, ns: ns.parse().ok()?, interface: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read() {
        let text = "PPPoL2TP driver info, V2.0\n\
             TUNNEL name, user-data-ok session-count\n debug tx-pkts/bytes/errs rx-pkts/bytes/errs\n\
             \x20 SESSION name, addr/port src-tid/sid dest-tid/sid state user-data-ok\n\
             \x20  mtu/mru/rcvseq/sendseq/lns debug reorderto\n\
             \x20  nr/ns tx-pkts/bytes/errs rx-pkts/bytes/errs\n\
             \n\
             TUNNEL 'tunl 1', Y 2\n 00000000 2/32/0 3/60/0\n\
             \x20 SESSION 'sess 1/10' 7F000001/1701 0001/000A -> 0002/0014 3 Y\n\
             \x20  0/0/-/S/LAC 00000000 0\n\x20  65535/7 2/32/0 3/60/0\n\x20  interface ppp0\n\
             \x20 SESSION 'sess 1/12' 7F000001/1701 0001/000C -> 0002/0016 1 Y\n\
             \x20  0/0/-/-/LAC 00000000 0\n\x20  1/2 0/0/0 0/0/0\n\x20  interface (null)\n\
             \x20 SESSION 'sess 1/11' 7F000001/1701 0001/000B -> 0002/0015 1 Y\n\
             \x20  0/0/-/-/LAC 00000000 0\n\x20  junk\n";
        let told = Told { nr: 65535, ns: 7, interface: Some("ppp0".into()) };
        let alone = Told { nr: 1, ns: 2, interface: None };
        assert_eq!(parse(text), BTreeMap::from([((1, 10), told), ((1, 12), alone)]));
        assert_eq!(
            parse("  SESSION 'sess 1/10' 7F000001/1701 0001/000A -> 0002/0014 3 Y\n"),
            BTreeMap::new()
        );
    }
}
