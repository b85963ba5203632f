//! Passwords: where they come from, and how they are asked for without being seen.

use std::env::VarError;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::{Code, Doing, Failure, Result};

/// The environment variable that has the password.
pub const VARIABLE: &str = "OL2TP_PASSWORD";
/// The longest password in bytes.
const LONGEST: usize = 4096;

/// The password of `user`: of the environment, else asked for on the terminal.
///
/// Errors: nobody can be asked, or the question was interrupted.
pub fn find(user: &str) -> Result<Zeroizing<String>> {
    match std::env::var(VARIABLE) {
        Ok(password) => Ok(Zeroizing::new(password)),
        Err(VarError::NotUnicode(_)) => Err(Failure::usage(format!("{VARIABLE} is not UTF-8"))),
        // The question goes to standard error: it is no output.
        Err(VarError::NotPresent) if io::stdin().is_terminal() => {
            ask(&io::stdin(), &mut io::stderr(), &format!("password of {user}: "))
        }
        Err(VarError::NotPresent) => Err(Failure::usage(format!(
            "no password for {user}: give --password-file FILE, set {VARIABLE}, or run it on a terminal"
        ))),
    }
}

/// Asks on a terminal; what is typed is not seen.
///
/// Errors: Ctrl-C or Ctrl-D, a signal that ends programs, or the terminal has gone.
fn ask(terminal: &impl AsFd, out: &mut dyn Write, question: &str) -> Result<Zeroizing<String>> {
    let quiet = Quiet::new(terminal.as_fd().try_clone_to_owned().doing("terminal")?)?;
    write!(out, "{question}").and_then(|()| out.flush()).doing("terminal")?;
    let typed = type_in(&quiet);
    drop(quiet);
    // Enter was not seen either.
    writeln!(out).doing("terminal")?;
    typed
}

/// What is typed up to Enter.
fn type_in(terminal: &Quiet) -> Result<Zeroizing<String>> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 21;
    const BACKSPACE: u8 = 8;
    const DELETE: u8 = 127;
    let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
    loop {
        match terminal.key()?.ok_or_else(unanswered)? {
            b'\r' | b'\n' => break,
            CTRL_C | CTRL_D => return Err(Failure::interrupted()),
            CTRL_U => typed.clear(),
            // A whole character, whose bytes but the first have these bits.
            BACKSPACE | DELETE => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            byte if typed.len() < LONGEST => typed.push(byte),
            _ => {}
        }
    }
    let text = std::str::from_utf8(&typed).map_err(|_| Failure::usage("the password is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn unanswered() -> Failure {
    Failure::of(Code::Interrupted, "interrupted before a password was given")
}

/// A terminal that shows nothing and sends no signals, until this is dropped. Signals that come from elsewhere
/// wait meanwhile: their default action would leave it as it is now.
struct Quiet {
    fd: OwnedFd,
    before: Termios,
    signals: SignalFd,
    mask: SigSet,
}

impl Quiet {
    fn new(fd: OwnedFd) -> Result<Self> {
        let before = tcgetattr(&fd).doing("terminal")?;
        let mut quiet = before.clone();
        // Without ISIG, Ctrl-C is a key.
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        let ends = SigSet::from_iter([Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM]);
        let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC).doing("signals")?;
        let mask = ends.thread_swap_mask(SigmaskHow::SIG_BLOCK).doing("signals")?;
        let quiet_fd = Self { fd, before, signals, mask };
        tcsetattr(&quiet_fd.fd, SetArg::TCSAFLUSH, &quiet).doing("terminal")?;
        Ok(quiet_fd)
    }

    /// The next key; `None`: there will be none.
    ///
    /// Errors: a signal has come.
    fn key(&self) -> Result<Option<u8>> {
        let [typed, signal] = [self.fd.as_fd(), self.signals.as_fd()];
        let mut ready = [typed, signal].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut ready, PollTimeout::NONE).doing("terminal")?;
        if ready[1].any() == Some(true) {
            // It has had its effect.
            let _ = self.signals.read_signal();
            return Err(unanswered());
        }
        let mut key = [0];
        let read = nix::unistd::read(&self.fd, &mut key).doing("terminal")?;
        Ok((read > 0).then_some(key[0]))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that has gone needs no repair.
        let _ = tcsetattr(&self.fd, SetArg::TCSAFLUSH, &self.before);
        // The mask was this thread's before.
        let _ = self.mask.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use nix::pty::openpty;
    use nix::sys::signal::raise;

    use super::*;

    /// Types when it is asked; sees to it that nothing of that is seen.
    struct Typist {
        terminal: File,
        keys: &'static [u8],
        /// What comes instead.
        signal: Option<Signal>,
        asked: Vec<u8>,
    }

    impl Write for Typist {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.asked.extend(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            assert!(!echoes(&self.terminal));
            // To this thread alone, which it would end with the process.
            self.signal.map_or(Ok(()), raise)?;
            self.terminal.write_all(self.keys)
        }
    }

    fn echoes(terminal: &File) -> bool {
        tcgetattr(terminal).unwrap().local_flags.contains(LocalFlags::ECHO | LocalFlags::ISIG)
    }

    fn answer(keys: &'static [u8]) -> Result<Zeroizing<String>> {
        answer_or(keys, None)
    }

    fn answer_or(keys: &'static [u8], signal: Option<Signal>) -> Result<Zeroizing<String>> {
        let pty = openpty(None, None).unwrap();
        let mut typist = Typist { terminal: pty.master.into(), keys, signal, asked: Vec::new() };
        let answer = ask(&pty.slave, &mut typist, "password: ");
        assert_eq!(typist.asked, b"password: \n");
        assert!(echoes(&typist.terminal), "the terminal is as it was");
        answer
    }

    #[test]
    fn what_is_typed_up_to_enter_counts() {
        for (keys, password) in [
            (&b"sesame\r"[..], "sesame"),
            (b"wrong\x15sesame\n", "sesame"),
            (b"sesamo\x7fe\r", "sesame"),
            ("gr\u{fc}\u{e4}\u{7f}n\r".as_bytes(), "gr\u{fc}n"),
            (b"\x7f\r", ""),
        ] {
            assert_eq!(*answer(keys).unwrap(), password, "{keys:?}");
        }
    }

    #[test]
    fn ctrl_c_and_ctrl_d_end_it_and_leave_the_terminal_as_it_was() {
        for keys in [&b"ses\x03"[..], b"\x04"] {
            assert_eq!(answer(keys).unwrap_err().code, Code::Interrupted);
        }
    }

    #[test]
    fn so_does_a_signal() {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            assert_eq!(answer_or(b"ses", Some(signal)).unwrap_err().code, Code::Interrupted);
            let blocked = SigSet::thread_get_mask().unwrap();
            assert!(!blocked.contains(signal));
        }
    }
}
