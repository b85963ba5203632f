//! What is to be seen of a connection: a line for each step that is done, one for what is going on, and
//! one, ever changing, while it is up.

use std::time::{Duration, Instant};

use ol2tpd::notice::{Notice, Step};

use crate::units;

/// How wide a step's text is, so that the times stand below one another.
const WIDTH: usize = 56;

/// Makes lines out of notices.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The step that has begun.
    running: Option<(String, Instant)>,
    /// The session that is up.
    pub(super) up: Option<Up>,
}

/// A session that is up.
#[derive(Debug)]
pub(super) struct Up {
    /// Our tunnel and session id.
    pub(super) ids: (u16, u16),
    interface: String,
    since: Instant,
    /// How long the server took to answer last.
    round_trip: Option<Duration>,
    /// What was counted last, and when.
    last: (Instant, Traffic),
}

/// Bytes of a session.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Traffic {
    /// From the peer.
    pub(super) rx_bytes: u64,
    /// To the peer.
    pub(super) tx_bytes: u64,
}

impl Progress {
    /// The lines that a notice is worth.
    pub(super) fn told(&mut self, now: Instant, notice: &Notice) -> Vec<String> {
        match notice {
            Notice::Step { step, text, .. } => {
                let done = self.end_step('✓', now);
                // The second family of addresses is configured while the first is up already.
                let begins = *step != Step::Up && self.up.is_none();
                self.running = begins.then(|| (text.clone(), now));
                done.into_iter().collect()
            }
            Notice::Failed { why, retry, .. } => {
                let mut lines: Vec<_> = self.end_step('✗', now).into_iter().collect();
                lines.extend(retry.map(|seconds| format!("  {why}; next try in {seconds:.0} s")));
                lines
            }
            Notice::SessionUp { tunnel_id, session_id, interface, mtu, local, remote, dns, .. } => {
                let mut lines: Vec<_> = self.end_step('✓', now).into_iter().collect();
                let mut line = format!("  {interface}: {local} to {remote}, MTU {mtu}");
                if !dns.is_empty() {
                    let servers: Vec<_> = dns.iter().map(ToString::to_string).collect();
                    line += &format!(", name servers {}", servers.join(" "));
                }
                lines.push(line);
                let ids = (*tunnel_id, *session_id);
                if self.up.as_ref().is_none_or(|up| up.ids != ids) {
                    let last = (now, Traffic::default());
                    self.up =
                        Some(Up { ids, interface: interface.clone(), since: now, round_trip: None, last });
                }
                lines
            }
            Notice::SessionDown { why, seconds, rx_bytes, tx_bytes, .. } => {
                let Some(_) = self.up.take() else { return Vec::new() };
                let (rx, tx) = (units::bytes(*rx_bytes), units::bytes(*tx_bytes));
                vec![format!("  ended after {}: {why}; {rx} in, {tx} out", units::clock(*seconds as u64))]
            }
            Notice::Says { text, .. } => vec![format!("  the server says \"{text}\"")],
            Notice::RoundTrip { microseconds, .. } => {
                if let Some(up) = &mut self.up {
                    up.round_trip = Some(Duration::from_micros(*microseconds));
                }
                Vec::new()
            }
            Notice::Driver { .. }
            | Notice::Addresses { .. }
            | Notice::NameServers { .. }
            | Notice::Hint { .. } => {
                vec![format!("  {notice}")]
            }
            Notice::Message { .. } => vec![format!("  {notice}")],
            _ => Vec::new(),
        }
    }

    /// What is going on now, if it will soon be past.
    pub(super) fn running(&self) -> Option<String> {
        self.running.as_ref().map(|(text, _)| format!("… {text}"))
    }

    fn end_step(&mut self, mark: char, now: Instant) -> Option<String> {
        let (text, since) = self.running.take()?;
        Some(format!("{mark} {text:<WIDTH$} {:>8}", units::time(now - since)))
    }
}

impl Up {
    /// The line that says how it is.
    pub(super) fn line(&mut self, now: Instant, traffic: Traffic) -> String {
        let (then, before) = std::mem::replace(&mut self.last, (now, traffic));
        let rate = |now_bytes: u64, then_bytes: u64, time: Duration| {
            let bits = now_bytes.saturating_sub(then_bytes) as f64 * 8.0;
            units::rate(if time.is_zero() { 0.0 } else { bits / time.as_secs_f64() })
        };
        let time = now - then;
        let round_trip =
            self.round_trip.map(|time| format!("   echo {}", units::time(time))).unwrap_or_default();
        format!(
            "  {} up {}{round_trip}   in {:>11}   out {:>11}   total {} in, {} out",
            self.interface,
            units::clock((now - self.since).as_secs()),
            rate(traffic.rx_bytes, before.rx_bytes, time),
            rate(traffic.tx_bytes, before.tx_bytes, time),
            units::bytes(traffic.rx_bytes),
            units::bytes(traffic.tx_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use ol2tpd::notice::Failed;

    use super::*;

    fn step(step: Step, text: &str) -> Notice {
        Notice::Step { connection: "office".into(), step, text: text.into() }
    }

    fn failed(retry: Option<f64>) -> Notice {
        Notice::Failed {
            connection: "office".into(),
            step: Step::Tunnel,
            failure: Failed::Silence,
            why: "no answer".into(),
            retry,
        }
    }

    fn up(address: &str) -> Notice {
        Notice::SessionUp {
            tunnel_id: 1,
            session_id: 2,
            user: None,
            interface: "ppp0".into(),
            mtu: 1458,
            local: address.parse().unwrap(),
            remote: "10.0.0.1".parse().unwrap(),
            dns: vec!["9.9.9.9".parse().unwrap(), "9.9.9.10".parse().unwrap()],
        }
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_step_is_done_when_the_next_begins() {
        let start = Instant::now();
        let mut progress = Progress::default();
        assert_eq!(progress.told(start, &step(Step::Resolve, "looking up h")), [""; 0]);
        assert_eq!(progress.running().as_deref(), Some("… looking up h"));
        let lines = progress.told(after(start, 12), &step(Step::Tunnel, "opening the tunnel"));
        assert_eq!(lines, [format!("✓ {:<WIDTH$}    12 ms", "looking up h")]);
        assert_eq!(progress.running().as_deref(), Some("… opening the tunnel"));
        let lines = progress.told(after(start, 1512), &step(Step::Up, "connected"));
        assert_eq!(lines, [format!("✓ {:<WIDTH$}    1.5 s", "opening the tunnel")]);
        assert_eq!(progress.running(), None);
    }

    #[test]
    fn a_failure_marks_its_step_and_tells_of_the_next_try() {
        let start = Instant::now();
        for (retry, more) in [(None, vec![]), (Some(2.5), vec!["  no answer; next try in 2 s".to_owned()])] {
            let mut progress = Progress::default();
            progress.told(start, &step(Step::Tunnel, "opening the tunnel"));
            let lines = progress.told(after(start, 31_000), &failed(retry));
            assert_eq!(lines[0], format!("✗ {:<WIDTH$}   31.0 s", "opening the tunnel"));
            assert_eq!(lines[1..], more);
        }
    }

    #[test]
    fn a_session_tells_its_addresses_and_in_the_end_its_totals() {
        let start = Instant::now();
        let mut progress = Progress::default();
        let lines = progress.told(start, &up("10.0.0.10"));
        assert_eq!(lines, ["  ppp0: 10.0.0.10 to 10.0.0.1, MTU 1458, name servers 9.9.9.9 9.9.9.10"]);
        assert_eq!(progress.up.as_ref().map(|up| up.ids), Some((1, 2)));
        let down = Notice::SessionDown {
            tunnel_id: 1,
            session_id: 2,
            user: None,
            why: "closed".into(),
            seconds: 65.4,
            rx_bytes: 1_500_000,
            tx_bytes: 3,
        };
        let lines = progress.told(after(start, 65_400), &down);
        assert_eq!(lines, ["  ended after 0:01:05: closed; 1.50 MB in, 3 B out"]);
        assert!(progress.up.is_none());
        assert_eq!(progress.told(start, &down), [""; 0], "a session that never was up");
    }

    #[test]
    fn the_live_line_has_rates_of_the_last_second_and_totals() {
        let start = Instant::now();
        let mut progress = Progress::default();
        progress.told(start, &up("10.0.0.10"));
        let up = progress.up.as_mut().unwrap();
        let line = up.line(after(start, 1000), Traffic { rx_bytes: 1000, tx_bytes: 125_000 });
        assert_eq!(
            line,
            "  ppp0 up 0:00:01   in 8.00 kbit/s   out 1.00 Mbit/s   total 1.00 kB in, 125 kB out"
        );
        let line = up.line(after(start, 3000), Traffic { rx_bytes: 1000, tx_bytes: 375_000 });
        assert_eq!(
            line,
            "  ppp0 up 0:00:03   in     0 bit/s   out 1.00 Mbit/s   total 1.00 kB in, 375 kB out"
        );
        let echo = Notice::RoundTrip { tunnel_id: 1, session_id: 2, microseconds: 23_400 };
        assert_eq!(progress.told(start, &echo), [""; 0]);
        let up = progress.up.as_mut().unwrap();
        let line = up.line(after(start, 4000), Traffic { rx_bytes: 1000, tx_bytes: 375_000 });
        assert!(line.starts_with("  ppp0 up 0:00:04   echo 23 ms   in "), "{line}");
    }

    #[test]
    fn the_words_of_the_server_and_its_name_servers_are_lines_of_their_own() {
        let mut progress = Progress::default();
        let says = Notice::Says { tunnel_id: 1, session_id: 2, text: "Welcome".into() };
        assert_eq!(progress.told(Instant::now(), &says), ["  the server says \"Welcome\""]);
        let names = Notice::NameServers {
            interface: "ppp0".into(),
            servers: vec!["9.9.9.9".parse().unwrap(), "2001:db8::53".parse().unwrap()],
            by: "file".into(),
        };
        let line = "  name servers of ppp0 are in use: 9.9.9.9 2001:db8::53 (by file)";
        assert_eq!(progress.told(Instant::now(), &names), [line]);
    }

    #[test]
    fn a_second_family_is_no_second_session() {
        let start = Instant::now();
        let mut progress = Progress::default();
        progress.told(start, &up("10.0.0.10"));
        assert_eq!(progress.told(after(start, 4900), &step(Step::Configure, "configuring")), [""; 0]);
        assert_eq!(progress.told(after(start, 5000), &up("fe80::1")).len(), 1);
        let line = progress.up.as_mut().unwrap().line(after(start, 6000), Traffic::default());
        assert!(line.starts_with("  ppp0 up 0:00:06"), "{line}");
    }
}
