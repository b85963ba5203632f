//! The user-space data path with real sockets, real interfaces and real TCP, each end in a network
//! namespace of its own. Needs root and /dev/net/tun.

mod ends;
mod netns_fast;
mod netns_modes;
mod netns_path;
mod netns_relay;
mod netns_shards;
mod netns_shared;
mod netns_static;
