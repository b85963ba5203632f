//! Passwords: where they come from, and how they are asked for without being seen.

use std::env::VarError;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

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
            ask(io::stdin().lock(), &mut io::stderr(), &format!("password of {user}: "))
        }
        Err(VarError::NotPresent) => Err(Failure::usage(format!(
            "no password for {user}: give --password-file FILE, set {VARIABLE}, or run it on a terminal"
        ))),
    }
}

/// Asks on a terminal; what is typed is not seen.
///
/// Errors: Ctrl-C or Ctrl-D, or the terminal has gone.
fn ask(mut terminal: impl Read + AsFd, out: &mut dyn Write, question: &str) -> Result<Zeroizing<String>> {
    let quiet = Quiet::new(terminal.as_fd().try_clone_to_owned().doing("terminal")?)?;
    write!(out, "{question}").and_then(|()| out.flush()).doing("terminal")?;
    let typed = type_in(&mut terminal);
    drop(quiet);
    // Enter was not seen either.
    writeln!(out).doing("terminal")?;
    typed
}

/// What is typed up to Enter.
fn type_in(terminal: &mut impl Read) -> Result<Zeroizing<String>> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 21;
    const BACKSPACE: u8 = 8;
    const DELETE: u8 = 127;
    let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut key = [0];
    loop {
        if terminal.read(&mut key).doing("terminal")? == 0 {
            return Err(unanswered());
        }
        match key[0] {
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

/// A terminal that shows nothing and sends no signals, until this is dropped.
struct Quiet {
    fd: OwnedFd,
    before: Termios,
}

impl Quiet {
    fn new(fd: OwnedFd) -> Result<Self> {
        let before = tcgetattr(&fd).doing("terminal")?;
        let mut quiet = before.clone();
        // Without ISIG, Ctrl-C is a key: a signal would leave the terminal as it is now.
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(&fd, SetArg::TCSAFLUSH, &quiet).doing("terminal")?;
        Ok(Self { fd, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that has gone needs no repair.
        let _ = tcsetattr(&self.fd, SetArg::TCSAFLUSH, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use nix::pty::openpty;

    use super::*;

    /// Types when it is asked; sees to it that nothing of that is seen.
    struct Typist {
        terminal: File,
        keys: &'static [u8],
        asked: Vec<u8>,
    }

    impl Write for Typist {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.asked.extend(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            assert!(!echoes(&self.terminal));
            self.terminal.write_all(self.keys)
        }
    }

    fn echoes(terminal: &File) -> bool {
        tcgetattr(terminal).unwrap().local_flags.contains(LocalFlags::ECHO | LocalFlags::ISIG)
    }

    fn answer(keys: &'static [u8]) -> Result<Zeroizing<String>> {
        let pty = openpty(None, None).unwrap();
        let mut typist = Typist { terminal: pty.master.into(), keys, asked: Vec::new() };
        let answer = ask(File::from(pty.slave.try_clone().unwrap()), &mut typist, "password: ");
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
}
