//! `cargo xtask bpf`: the programs of `crates/pppol2tp-bpf`, compiled for the kernel that is to run them.
//!
//! ```text
//!   crates/pppol2tp-bpf     program/, src/ ──► target/bpf = /host ──► programs.o ──► crates/pppol2tp-bpf
//!   target/peers/trixie     rustc, core's sources ──► metadata of core, once ──┘
//! ```
//!
//! Always by Debian trixie's compiler, at the same paths: so the object is the same bytes on every machine, and whoever
//! has its sources can tell where it comes from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::install;
use crate::peers::{self, TRIXIE, at, empty};
use crate::process::{command, output, probe, root, run as execute, target};

/// Compile the driver's eBPF programs to the object that is committed: crates/pppol2tp-bpf/programs.o.
///
/// By rustc 1.85 of Debian trixie, whose packages are unpacked once (1.6 GB), as for cargo xtask kmod stock. As root.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing, and fail if it is not what is committed.
    #[arg(long)]
    check: bool,
}

/// The crate, and the object in it.
const CRATE: &str = "crates/pppol2tp-bpf";
const OBJECT: &str = "programs.o";

/// The target that rustc knows; ours is made of it.
const TARGET: &str = "bpfel-unknown-none";
/// Targets of one's own, and core out of its sources, are for developers of rustc otherwise.
const RUSTC: &str = "env RUSTC_BOOTSTRAP=1 rustc";
/// For all that is compiled.
const FLAGS: &str = "--target target.json -Copt-level=3 -Cpanic=abort";
/// What a crate is made with. Nothing of it is code: what a program calls of core is compiled into the program.
const LIBRARY: &str = "--edition 2021 --crate-type rlib --cap-lints allow --emit metadata";
/// core, with all its functions,
const CORE: &str = "--crate-name core -Zalways-encode-mir /usr/lib/rustlib/src/rust/library/core/src/lib.rs";
/// and a crate that rustc looks for beside it, of which the programs call nothing.
const BUILTINS: &str = "--crate-name compiler_builtins --extern core=libcore.rmeta builtins.rs";
const BUILTINS_SOURCE: &str = "#![feature(compiler_builtins)]\n#![no_std]\n#![compiler_builtins]\n";
/// The programs. v3 is what the kernel knows since Linux 5.12.
const PROGRAM: &str = "--edition 2024 --crate-type lib --crate-name programs --deny warnings -Ctarget-cpu=v3 \
    -Ccodegen-units=1 -Cdebuginfo=0 -L . --extern core=libcore.rmeta \
    --extern compiler_builtins=libcompiler_builtins.rmeta --emit obj=programs.o program/main.rs";

/// Compiles them, and writes or compares the object.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    tools()?;
    if args.check {
        println!("{}", check()?);
        return Ok(());
    }
    let (made, place) = (compile()?, committed());
    let changed = !fs::read(&place).is_ok_and(|before| before == made);
    if changed {
        fs::write(&place, &made).map_err(|error| at(&place, error))?;
    }
    println!("{CRATE}/{OBJECT}: {} bytes, {}", made.len(), if changed { "changed" } else { "as before" });
    Ok(())
}

/// Sees to the compiler.
///
/// Errors: it cannot be had, or not entered, for which one has to be root.
pub(crate) fn tools() -> Result<(), String> {
    install::packages(install::PEERS)?;
    peers::set_up(&TRIXIE)?;
    let place = place()?;
    probe(TRIXIE.enter(&place, "/host").arg("true"))
        .map_err(|error| format!("cannot enter {} ({error}): needs root", TRIXIE.directory().display()))
}

/// Compares the object that is committed with what the programs make, where [`tools`] are. Says what there is to say.
pub(crate) fn check() -> Result<String, String> {
    let (made, place) = (compile()?, committed());
    verdict(&made, &fs::read(&place).map_err(|error| at(&place, error))?)
}

fn verdict(made: &[u8], committed: &[u8]) -> Result<String, String> {
    if made == committed {
        return Ok(format!("{OBJECT} is what its sources make: {} bytes", made.len()));
    }
    Err(format!(
        "{CRATE}/{OBJECT} is not what its sources make: run cargo xtask bpf, and commit it with them ({} bytes, \
         committed are {})",
        made.len(),
        committed.len()
    ))
}

fn committed() -> PathBuf {
    root().join(CRATE).join(OBJECT)
}

/// Where it is made.
fn place() -> Result<PathBuf, String> {
    let place = target().join("bpf");
    fs::create_dir_all(&place).map_err(|error| at(&place, error))?;
    Ok(place)
}

/// Makes the object.
fn compile() -> Result<Vec<u8>, String> {
    let place = place()?;
    libraries(&place)?;
    for sources in ["program", "src"] {
        empty(&place.join(sources))?;
        probe(command("cp --recursive").arg(root().join(CRATE).join(sources)).arg(&place))?;
    }
    let object = place.join(OBJECT);
    execute(&mut rustc(&place, &[FLAGS, PROGRAM]))
        .map_err(|error| format!("the programs do not compile ({error}, see above)"))?;
    fs::read(&object).map_err(|error| at(&object, error))
}

/// Sees to core, for that target.
fn libraries(place: &Path) -> Result<(), String> {
    let version = output(&mut rustc(place, &["--version --verbose"]))?;
    let known = output(&mut rustc(place, &["-Zunstable-options --print target-spec-json --target", TARGET]))?;
    let spec = spec(&known)?;
    // Another compiler, or other options, are another core.
    let recipe = [&*version, &spec, FLAGS, LIBRARY, CORE, BUILTINS, BUILTINS_SOURCE].join("\n");
    let stamp = place.join("ol2tp.made");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        return Ok(());
    }
    println!("compiling core for {TARGET}: a quarter of a minute");
    for (name, text) in [("target.json", &*spec), ("builtins.rs", BUILTINS_SOURCE), ("ol2tp.made", "")] {
        fs::write(place.join(name), text).map_err(|error| at(&place.join(name), error))?;
    }
    probe(&mut rustc(place, &[FLAGS, LIBRARY, CORE]))?;
    probe(&mut rustc(place, &[FLAGS, LIBRARY, BUILTINS]))?;
    fs::write(&stamp, recipe).map_err(|error| at(&stamp, error))
}

/// Our target by the one that rustc knows: it makes code, which that leaves to a linker of its own, and has all atomic
/// operations, as Linux has since 5.12.
fn spec(known: &str) -> Result<String, String> {
    let not = |why: &str| format!("rustc's {TARGET} is no target as we know it: {why}");
    let mut spec: Value = serde_json::from_str(known).map_err(|error| not(&error.to_string()))?;
    let options = spec.as_object_mut().ok_or_else(|| not("no object"))?;
    options.remove("atomic-cas").ok_or_else(|| not("no atomic-cas"))?;
    options.insert("obj-is-bitcode".into(), false.into()).ok_or_else(|| not("no obj-is-bitcode"))?;
    Ok(format!("{spec:#}\n"))
}

/// trixie's compiler, in `place`.
fn rustc(place: &Path, arguments: &[&str]) -> Command {
    let mut rustc = TRIXIE.enter(place, "/host");
    rustc.args(RUSTC.split_whitespace());
    rustc.args(arguments.iter().flat_map(|arguments| arguments.split_whitespace()));
    rustc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_makes_code_and_has_atomics() {
        let known = r#"{"arch": "bpf", "atomic-cas": false, "obj-is-bitcode": true, "singlethread": true}"#;
        let ours = serde_json::json!({"arch": "bpf", "obj-is-bitcode": false, "singlethread": true});
        let made: Value = serde_json::from_str(&spec(known).expect("a target")).expect("JSON");
        assert_eq!(made, ours);
    }

    #[test]
    fn a_target_that_is_another_one_is_refused() {
        for other in ["", "[]", r#"{"obj-is-bitcode": true}"#, r#"{"atomic-cas": false}"#] {
            assert!(spec(other).expect_err(other).contains(TARGET));
        }
    }

    #[test]
    fn an_object_that_differs_says_what_to_run() {
        assert!(verdict(b"code", b"code").is_ok_and(|said| said.ends_with("4 bytes")));
        let said = verdict(b"code", b"cod").expect_err("it differs");
        assert!(said.contains("programs.o") && said.contains("cargo xtask bpf"), "{said}");
    }
}
