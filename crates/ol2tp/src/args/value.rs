//! Values of arguments.

use std::str::FromStr;
use std::time::Duration;

use ol2tpd::config::DriverKind;
use pppol2tp::DebugMask;
use pppol2tp::user::{Fast, MAX_SHARDS, Mode};

/// Two ids: this end's and the peer's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ids {
    /// This end's.
    pub local: u16,
    /// The peer's.
    pub peer: u16,
}

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (local, peer) = text.split_once(':').ok_or("two ids are needed, LOCAL:PEER, for example 1:2")?;
        let id = |text: &str| match text.parse() {
            Ok(0) => Err("id 0 is reserved (RFC 2661 §3.1)".to_owned()),
            Ok(id) => Ok(id),
            Err(_) => Err(format!("`{text}` is not an id from 1 to 65535")),
        };
        Ok(Self { local: id(local)?, peer: id(peer)? })
    }
}

/// Messages a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate(pub Option<u32>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => text.parse().map(|rate| Self(Some(rate))).map_err(|_| "a number or `off` is needed".into()),
        }
    }
}

/// A socket option and its new value, as the kernel takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assignment {
    /// DEBUG.
    Debug(i32),
    /// RECVSEQ.
    RecvSeq(i32),
    /// SENDSEQ.
    SendSeq(i32),
    /// LNSMODE.
    LnsMode(i32),
    /// REORDERTO in milliseconds.
    ReorderTimeout(i32),
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("an option and its value are needed, OPTION=VALUE")?;
        Ok(match name {
            "debug" => Self::Debug(debug_mask(value)?.0.cast_signed()),
            "recv-seq" => Self::RecvSeq(switch(value)?),
            "send-seq" => Self::SendSeq(switch(value)?),
            "lns" => Self::LnsMode(switch(value)?),
            "reorder-timeout" => {
                let milliseconds = duration(value)?.as_millis();
                Self::ReorderTimeout(i32::try_from(milliseconds).map_err(|_| "that is too long")?)
            }
            _ => {
                return Err(format!(
                    "there is no option `{name}`; there are debug, recv-seq, send-seq, lns, reorder-timeout"
                ));
            }
        })
    }
}

fn switch(text: &str) -> Result<i32, String> {
    match text {
        "on" => Ok(1),
        "off" => Ok(0),
        _ => Err(format!("`{text}` is neither on nor off")),
    }
}

/// A list of categories, or `none`.
pub(super) fn debug_mask(text: &str) -> Result<DebugMask, String> {
    if text == "none" {
        return Ok(DebugMask::default());
    }
    text.split(',').try_fold(DebugMask::default(), |mask, name| {
        match DebugMask::NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, category)) => Ok(DebugMask(mask.0 | category.0)),
            None => Err(format!("`{name}` is no category; there are control, seq, data, or none")),
        }
    })
}

/// A whole number with a unit: `100ms`, `1s`, `2m`; `0` needs none.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write for example 100ms or 1s");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| wrong())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number.into())),
        "s" => Ok(Duration::from_secs(number.into())),
        "m" => Ok(Duration::from_secs(u64::from(number) * 60)),
        "" if number == 0 => Ok(Duration::ZERO),
        _ => Err(wrong()),
    }
}

/// Seconds, with a fraction.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds from 0.01 to 3600 is needed".into()),
    }
}

pub(super) fn driver(text: &str) -> Result<DriverKind, String> {
    let found = DriverKind::NAMES.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, kind)| kind).ok_or_else(|| "it is none of auto, linux, user".into())
}

pub(super) fn fast(text: &str) -> Result<Fast, String> {
    let found = Fast::NAMES.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, fast)| fast).ok_or_else(|| "it is none of auto, on, off".into())
}

pub(super) fn shards(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_SHARDS).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number from 1 to {MAX_SHARDS}"))
}

pub(super) fn mode(text: &str) -> Result<Mode, String> {
    Mode::by_name(text).ok_or_else(|| {
        let names: Vec<_> = Mode::ALL.iter().map(|(name, _)| *name).collect();
        format!("there is no mode `{text}`; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [("0", 0), ("0s", 0), ("100ms", 100), ("1s", 1000), ("2m", 120_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "ms", "-1s", "1.5s", "1 s", "1h", "99999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids() {
        assert_eq!("1:65535".parse(), Ok(Ids { local: 1, peer: 65535 }));
        for text in ["", "1", "1:", ":1", "0:1", "1:0", "1:65536", "1:2:3", "a:b", "-1:1"] {
            assert!(text.parse::<Ids>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_masks() {
        assert_eq!(debug_mask("none"), Ok(DebugMask(0)));
        assert_eq!(debug_mask("control,data"), Ok(DebugMask(10)));
        for text in ["", "control,", "control,,seq", "all", "CONTROL", "7"] {
            assert!(debug_mask(text).is_err(), "{text}");
        }
    }

    #[test]
    fn assignments() {
        for (text, assignment) in [
            ("debug=none", Assignment::Debug(0)),
            ("debug=seq", Assignment::Debug(4)),
            ("recv-seq=on", Assignment::RecvSeq(1)),
            ("send-seq=off", Assignment::SendSeq(0)),
            ("lns=on", Assignment::LnsMode(1)),
            ("reorder-timeout=1s", Assignment::ReorderTimeout(1000)),
        ] {
            assert_eq!(text.parse(), Ok(assignment), "{text}");
        }
        for text in ["", "lns", "lns=", "lns=1", "LNS=on", "mtu=1400"] {
            assert!(text.parse::<Assignment>().is_err(), "{text}");
        }
        assert!("reorder-timeout=40000m".parse::<Assignment>().is_err(), "more than 2^31 ms");
    }
}
