//! Debian's own kernel in QEMU, which emulates the processors: it needs no virtualisation here.
//!
//! ```text
//!   target/peers/trixie or stock     the kernel, and its modules
//!     /guest ──── pack.sh ───► /boot/initrd                init.sh, busybox, ol2tp and its libraries, modules
//!   target/peers/trixie ── chroot ── qemu-system-x86_64    kernel and initramfs of /boot/guest
//!   standard output ◄───────── serial port                 what init.sh and ol2tp say
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::peers::{self, Root, TRIXIE, at};
use crate::process::{command, probe, run_reading, target};

/// What makes the initramfs, run in the root directory.
const PACK: &str = include_str!("qemu/pack.sh");
/// What the guest runs as its first process; arguments behind `--` of the kernel's are its own.
const BENCH: &str = include_str!("qemu/init.sh");
/// The same for the module in `kernel/`.
const KMOD: &str = include_str!("qemu/kmod.sh");

const QEMU: &str = "-m 1024 -no-reboot -nodefaults -display none -serial stdio \
    -initrd /boot/guest/initrd -kernel /boot/guest/vmlinuz";
/// Two processors, each as fast as it goes.
const PARALLEL: &str = "qemu-system-x86_64 -accel tcg,thread=multi -smp 2";
/// A processor whose clock goes by what it executes, 4 ns an instruction: what else this machine does is not measured.
const COUNTED: &str = "qemu-system-x86_64 -accel tcg,thread=single -icount shift=2,sleep=off -smp 1";
const KERNEL: &str = "console=ttyS0 quiet panic=-1 --";

/// `ol2tp bench drivers` with arguments, in the guest: the command is built, and the root directory there. Returns all
/// that the guest writes.
///
/// Errors: the guest does not boot, or the command fails in it.
pub(crate) fn bench(args: &[String]) -> Result<String, String> {
    boot(&TRIXIE, PARALLEL, BENCH, &[(target().join("release/ol2tp"), "ol2tp")], args)
}

/// The conformance tests on the module with this root directory's kernel, which are built. Returns all that the guest
/// writes.
///
/// Errors: as above, or a test fails.
pub(crate) fn kmod_tests(root: &Root, module: &Path, conformance: &Path) -> Result<String, String> {
    let files = [(module.into(), "pppol2tp.ko"), (conformance.into(), "conformance")];
    boot(root, PARALLEL, KMOD, &files, &["tests".into()])
}

/// `kmod_load` with arguments on the module and on the kernel's own driver; it and the command are built. Returns all
/// that the guest writes.
///
/// Errors: as above.
pub(crate) fn kmod_load(module: &Path, args: &[String]) -> Result<String, String> {
    let release = target().join("release");
    let files = [
        (module.into(), "pppol2tp.ko"),
        (release.join("ol2tp"), "ol2tp"),
        (release.join("examples/kmod_load"), "kmod_load"),
    ];
    boot(&TRIXIE, COUNTED, KMOD, &files, &[&["load".into()], args].concat())
}

/// Boots a guest of this root directory's kernel and these files, whose first process gets these arguments. Returns all
/// that it writes.
fn boot(
    root: &Root,
    processors: &str,
    init: &str,
    files: &[(PathBuf, &str)],
    args: &[String],
) -> Result<String, String> {
    pack(&root.directory(), init, files)?;
    // QEMU is trixie's.
    let (from, here) = (root.directory().join("boot"), TRIXIE.directory());
    let to = here.join("boot/guest");
    let kernel = fs::read_dir(&from).map_err(|error| at(&from, error))?;
    let kernel = kernel.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let kernel = kernel.filter(|name| name.starts_with("vmlinuz-")).max().ok_or("no kernel in /boot")?;
    fs::create_dir_all(&to).map_err(|error| at(&to, error))?;
    for (file, name) in [(&*kernel, "vmlinuz"), ("initrd", "initrd")] {
        fs::copy(from.join(file), to.join(name)).map_err(|error| at(&from.join(file), error))?;
    }
    let mut qemu = chroot(&here);
    qemu.args(processors.split_whitespace()).args(QEMU.split_whitespace());
    qemu.args(["-append", &format!("{KERNEL} {}", args.join(" "))]).stdin(Stdio::null());
    let (mut code, mut output) = (None, String::new());
    run_reading(&mut qemu, |line| {
        code = line.strip_prefix("init: exit code ").map(String::from).or(code.take());
        output += &format!("{line}\n");
    })?;
    match code.as_deref() {
        Some("0") => Ok(output),
        Some(code) => Err(format!("exit code {code} in the guest, see above")),
        None => Err("the guest ended before its command did, see above".into()),
    }
}

/// Makes the initramfs: the files with all that they are linked with, and what `pack.sh` adds.
fn pack(root: &Path, init: &str, files: &[(PathBuf, &str)]) -> Result<(), String> {
    let guest = root.join("guest");
    peers::empty(&guest)?;
    let put = |file: &Path, name: &str| {
        let place = guest.join(name.trim_start_matches('/'));
        let parent = place.parent().unwrap_or(&guest);
        fs::create_dir_all(parent).and_then(|()| fs::copy(file, &place)).map_err(|error| at(file, error))
    };
    for (file, name) in files {
        put(file, name)?;
        // Of what is no program it says nothing.
        let linked = Command::new("ldd").arg(file).output().map_err(|error| format!("ldd: {error}"))?;
        for library in
            String::from_utf8_lossy(&linked.stdout).split_whitespace().filter(|word| word.starts_with('/'))
        {
            put(library.as_ref(), library)?;
        }
    }
    let path = guest.join("init");
    fs::write(&path, init).map_err(|error| at(&path, error))?;
    probe(chroot(root).args(["sh", "-c", PACK])).map_err(|error| format!("making the initramfs: {error}"))
}

fn chroot(root: &Path) -> Command {
    let mut chroot = command("chroot");
    chroot.arg(root).env("PATH", "/usr/sbin:/usr/bin").env("TMPDIR", "/tmp");
    chroot
}
