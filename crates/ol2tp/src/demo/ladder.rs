//! The ladder of messages between the client and the server, a rung each.

use std::time::Duration;

use crate::units;

/// How wide the ladder is between its rails: with them and the times it fits a terminal of 80 columns.
const WIDTH: usize = 66;
/// The shortest arrow, with the space before it.
const ARROW: usize = 3;

/// The line above the ladder.
pub(super) fn head(client: &str, server: &str) -> String {
    let gap = (WIDTH + 4).saturating_sub(client.chars().count());
    format!("{client}{server:>gap$}")
}

/// A message, who sent it, and when since the beginning.
pub(super) fn rung(by_client: bool, text: &str, at: Duration) -> String {
    let text = cut(&short(text), WIDTH - ARROW);
    let line = "─".repeat(WIDTH - text.chars().count() - 2);
    let arrow = if by_client { format!("{text} {line}►") } else { format!("◄{line} {text}") };
    format!("│ {arrow} │ {:>7}", units::time(at))
}

/// The AVPs that are worth telling, by their numbers (RFC 2661 §4.4).
const TOLD: [(u16, &str); 7] = [
    (1, "result"),
    (7, "host name"),
    (9, "tunnel id"),
    (14, "session id"),
    (11, "challenge"),
    (13, "response"),
    (24, "speed"),
];

/// A message in one line: a control message has a line for itself and one for each AVP.
fn short(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    // What comes with the name of a control message is its header.
    let name = first.split("  ").next().unwrap_or_default();
    let avps = lines.filter_map(|line| {
        let (name, value) = line.split_once("): ")?;
        let number: u16 = name.rsplit_once('(')?.1.parse().ok()?;
        let (_, told) = TOLD.iter().find(|(known, _)| *known == number)?;
        Some(format!("{told} {value}"))
    });
    let avps: Vec<_> = avps.collect();
    if avps.is_empty() { name.into() } else { format!("{name}  {}", avps.join(", ")) }
}

/// A text that is no longer than this.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_as_wide_as_the_head() {
        let width = head("client", "server").chars().count();
        let at = Duration::from_millis(12);
        for (by_client, text) in
            [(true, "SCCRQ"), (false, "SCCRP  Host Name ol2tp"), (true, &"x".repeat(500))]
        {
            let rung = rung(by_client, text, at);
            let ladder = rung.strip_suffix("   12 ms").unwrap();
            assert_eq!(ladder.chars().count(), width, "{rung}");
            assert!(ladder.starts_with('│') && ladder.ends_with('│'), "{rung}");
        }
    }

    #[test]
    fn arrows_point_to_the_receiver() {
        assert!(rung(true, "SCCRQ", Duration::ZERO).starts_with("│ SCCRQ ───"));
        assert!(rung(true, "SCCRQ", Duration::ZERO).contains("───► │"));
        assert!(rung(false, "SCCRP", Duration::ZERO).starts_with("│ ◄───"));
        assert!(rung(false, "SCCRP", Duration::ZERO).contains("─── SCCRP │"));
    }

    #[test]
    fn a_control_message_has_its_main_values_in_one_line() {
        let text = "SCCRQ  tunnel 0 session 0 Ns 0 Nr 0\n    Protocol Version (2): 1.0\n    \
                    Host Name (7): vm (2): x\n    Assigned Tunnel ID (9): 77\n    forgiven: nothing";
        assert_eq!(short(text), "SCCRQ  host name vm (2): x, tunnel id 77");
        assert_eq!(short("ZLB  tunnel 1 session 0 Ns 1 Nr 2"), "ZLB");
        assert_eq!(short("LCP Configure-Request 1 [MRU 1400]"), "LCP Configure-Request 1 [MRU 1400]");
    }

    #[test]
    fn a_long_message_is_cut() {
        let rung = rung(true, &"x".repeat(500), Duration::ZERO);
        assert!(rung.contains("x… ─► │"), "{rung}");
    }
}
