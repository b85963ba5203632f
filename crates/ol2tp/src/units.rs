//! Numbers with units, for people.

use std::time::Duration;

/// Bytes, in powers of ten: `999 B`, `1.5 kB`, `20 MB`.
pub fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, "B")
}

/// Bits a second: `0 bit/s`, `1.5 Mbit/s`.
pub fn rate(bits_s: f64) -> String {
    scaled(bits_s, "bit/s")
}

/// Three digits, if it has no fewer.
fn scaled(mut value: f64, unit: &str) -> String {
    let mut prefixes = ["", "k", "M", "G", "T", "P", "E"].into_iter();
    let mut prefix = prefixes.next().unwrap_or_default();
    while value >= 999.5
        && let Some(next) = prefixes.next()
    {
        (prefix, value) = (next, value / 1000.0);
    }
    let decimals =
        usize::from(!prefix.is_empty() && value < 99.95) + usize::from(!prefix.is_empty() && value < 9.995);
    format!("{value:.decimals$} {prefix}{unit}")
}

/// How long something took: `0.4 ms`, `12 ms`, `3.1 s`.
pub fn time(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    match ms {
        _ if ms < 9.95 => format!("{ms:.1} ms"),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

/// How long something has lasted: `0:00:07`, `3 d 1:02:03`.
pub fn clock(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let days = if days > 0 { format!("{days} d ") } else { String::new() };
    format!("{days}{hours}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (99_960, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(rate(1.5e6), "1.50 Mbit/s");
    }

    #[test]
    fn times_have_the_unit_that_suits() {
        for (us, text) in [
            (0, "0.0 ms"),
            (1_240, "1.2 ms"),
            (9_950, "10 ms"),
            (12_000, "12 ms"),
            (999_600, "1.0 s"),
            (61_000_000, "61.0 s"),
        ] {
            assert_eq!(time(Duration::from_micros(us)), text);
        }
    }

    #[test]
    fn durations_look_like_a_clock() {
        for (seconds, text) in
            [(0, "0:00:00"), (3_723, "1:02:03"), (86_400, "1 d 0:00:00"), (90_061, "1 d 1:01:01")]
        {
            assert_eq!(clock(seconds), text);
        }
    }
}
