//! Control messages on the wire: every AVP, every message, every leniency, and what peers really send.

mod auth;
mod avps;
mod header;
mod hidden;
mod leniencies;
mod messages;
mod others;
mod quirks;
mod raw;
mod round_trip;
mod table;
mod unknown;
mod words;
