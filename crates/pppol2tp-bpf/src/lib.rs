//! The fast path of the driver in user space: L2TP's headers are put on and taken off inside the kernel, by programs in
//! eBPF. They are in `program/`, in Rust; [`layout`] is what both sides know, and [`OBJECT`] what the driver loads.
//!
//! `cargo xtask bpf` compiles them to that object, `programs.o`, by Debian trixie's rustc 1.85 in a root directory of its
//! packages: to the same bytes on every machine. `cargo xtask bpf --check`, a step of the project's checks, compares them
//! with those that are committed.
#![no_std]
#![forbid(unsafe_code)]

pub mod layout;

/// The programs, as an object file for a loader; aligned as the file format wants it.
pub static OBJECT: &[u8] = &OBJECT_ALIGNED.0;

#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static OBJECT_ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!("../programs.o"));
