//! Fuzz targets: functions of bytes that panic when something is wrong. `fuzz_targets/` gives them to
//! libFuzzer, `tests/corpus.rs` replays what it found.

mod advert;
mod avp;
mod control_datagram;
mod endpoint;
mod header;
mod input;
#[path = "../../crates/l2tp-data/tests/common/path.rs"]
mod path;
mod ppp_auth;
mod ppp_link;
mod receive;
mod sockaddr;

pub use advert::advert;
pub use avp::avp;
pub use control_datagram::control_datagram;
pub use endpoint::endpoint;
pub use header::header;
pub use ppp_auth::ppp_auth;
pub use ppp_link::ppp_link;
pub use pppol2tp::user::fuzzing::offload;
pub use receive::receive;
pub use sockaddr::sockaddr;

/// What is fuzzed: a function that panics when something is wrong.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Target); 10] = [
    ("advert", advert),
    ("avp", avp),
    ("control_datagram", control_datagram),
    ("endpoint", endpoint),
    ("header", header),
    ("offload", offload),
    ("ppp_auth", ppp_auth),
    ("ppp_link", ppp_link),
    ("receive", receive),
    ("sockaddr", sockaddr),
];

/// Runs a target on every file named on the command line.
pub fn replay(target: Target) -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        target(&std::fs::read(file)?);
    }
    Ok(())
}
