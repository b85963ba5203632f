//! Which paths to peers are to be asked for their MTU again, and when.
//!
//! Who knows an address of ours can forge an ICMP error of it. So only errors about our peers count, each
//! about its own path, and a path is asked for once a second at the most:
//!
//! | a path | when it is asked for |
//! |---|---|
//! | of which an error tells | at once, or a second after it was asked for last |
//! | that is narrower than it was once | a minute after it was asked for last, as long as it is |
//! | else | not at all |

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The shortest time between two questions, in microseconds.
const REST: u64 = 1_000_000;
/// How often a narrow path is asked for: the kernel forgets what it learned after ten minutes.
const NARROW: u64 = 60_000_000;

/// The paths to all peers. The kernel knows one for each address.
#[derive(Default)]
pub(super) struct Paths {
    paths: BTreeMap<IpAddr, Path>,
    due: BTreeSet<(u64, IpAddr)>,
}

#[derive(Default)]
struct Path {
    /// Slots of the tunnels that take it.
    tunnels: BTreeSet<u32>,
    /// The most that it has carried.
    widest: u16,
    asked: Option<u64>,
    due: Option<u64>,
}

impl Paths {
    pub(super) fn add(&mut self, peer: IpAddr, tunnel: u32, mtu: u16) {
        let path = self.paths.entry(peer).or_default();
        path.tunnels.insert(tunnel);
        path.widest = path.widest.max(mtu);
    }

    pub(super) fn remove(&mut self, peer: IpAddr, tunnel: u32) {
        let Some(path) = self.paths.get_mut(&peer) else { return };
        path.tunnels.remove(&tunnel);
        if path.tunnels.is_empty() {
            if let Some(due) = path.due {
                self.due.remove(&(due, peer));
            }
            self.paths.remove(&peer);
        }
    }

    /// A message was too large for its path, or somebody says so.
    pub(super) fn too_big(&mut self, peer: IpAddr, now: u64) {
        let asked = self.paths.get(&peer).and_then(|path| path.asked);
        self.ask(peer, asked.map_or(now, |asked| now.max(asked + REST)));
    }

    /// What a path carries, for one of its tunnels.
    pub(super) fn learned(&mut self, peer: IpAddr, mtu: u16, now: u64) {
        let Some(path) = self.paths.get_mut(&peer) else { return };
        path.widest = path.widest.max(mtu);
        if mtu < path.widest {
            self.ask(peer, now + NARROW);
        }
    }

    fn ask(&mut self, peer: IpAddr, at: u64) {
        let Some(path) = self.paths.get_mut(&peer) else { return };
        if path.due.is_none_or(|due| at < due) {
            if let Some(due) = path.due.replace(at) {
                self.due.remove(&(due, peer));
            }
            self.due.insert((at, peer));
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The next one that is due: its peer, and the slots of the tunnels that take it.
    pub(super) fn take(&mut self, now: u64) -> Option<(IpAddr, Vec<u32>)> {
        let &(due, peer) = self.due.first().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, peer));
        let path = self.paths.get_mut(&peer)?;
        (path.due, path.asked) = (None, Some(now));
        Some((peer, path.tunnels.iter().copied().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn paths() -> Paths {
        let mut paths = Paths::default();
        for (peer, tunnel) in [(A, 1), (A, 2), (B, 3)] {
            paths.add(peer, tunnel, 1500);
        }
        paths
    }

    #[test]
    fn only_the_path_of_which_an_error_tells_is_asked_for() {
        let mut paths = paths();
        paths.too_big(A, 5);
        assert_eq!((paths.take(4), paths.next()), (None, Some(5)));
        assert_eq!(paths.take(5), Some((A, vec![1, 2])));
        assert_eq!((paths.take(u64::MAX), paths.next()), (None, None));
    }

    #[test]
    fn a_path_is_asked_for_once_a_second() {
        let mut paths = paths();
        let mut asked = 0;
        for now in (0..10 * REST).step_by(1000) {
            paths.too_big(B, now);
            while let Some((peer, _)) = paths.take(now) {
                assert_eq!(peer, B);
                asked += 1;
            }
        }
        assert_eq!(asked, 10);
        assert_eq!(paths.next(), Some(10 * REST), "the last error is not forgotten");
    }

    #[test]
    fn a_narrow_path_is_asked_for_until_it_is_wide_again() {
        let mut paths = paths();
        paths.too_big(A, 0);
        let mut now = 0;
        for mtu in [1400, 1400, 1280, 1500] {
            assert_eq!(paths.take(now).map(|(peer, _)| peer), Some(A), "{mtu}");
            paths.learned(A, mtu, now);
            paths.learned(A, mtu, now);
            now += NARROW;
        }
        assert_eq!(paths.next(), None);
    }

    #[test]
    fn strangers_and_those_who_left_have_no_path() {
        let mut paths = paths();
        paths.too_big("203.0.113.1".parse().expect("an address"), 0);
        assert_eq!(paths.next(), None);
        paths.too_big(A, 0);
        paths.remove(A, 1);
        assert_eq!(paths.next(), Some(0), "another tunnel takes it");
        paths.remove(A, 2);
        paths.remove(A, 2);
        assert_eq!((paths.next(), paths.take(u64::MAX)), (None, None));
        paths.learned(A, 1280, 0);
        paths.remove(B, 3);
        assert!(paths.paths.is_empty() && paths.due.is_empty());
    }
}
