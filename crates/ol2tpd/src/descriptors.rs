//! How many descriptors this process may have, and what it starts.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::process::Command;

/// The limit that this process has begun with, if it was raised.
static BEGAN_WITH: OnceLock<u64> = OnceLock::new();

/// Takes as many as it may, and returns how many that are: each interface of a session's own has one, and the
/// limit that processes begin with is made for programs that have few.
pub fn raise() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_err() {
        return soft;
    }
    if soft < hard {
        BEGAN_WITH.get_or_init(|| soft);
    }
    hard
}

/// Has a program begin with what this process has begun with: some look at each descriptor that they may have. (It is
/// started by execvp then, by which glibc has /bin/sh run a script that names no interpreter.)
pub(crate) fn as_begun(command: &mut Command) {
    if let Some(soft) = BEGAN_WITH.get() {
        pppol2tp::limit_descriptors(command.as_std_mut(), *soft);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hooks::child;

    #[tokio::test]
    async fn there_are_as_many_as_the_system_lets_it_have_and_programs_have_what_there_was() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let soft = hard - 1;
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert_eq!(raise(), hard);
        let begun = format!("test $(ulimit -Sn) = {soft} && test $(ulimit -Hn) = {hard}");
        let mut program = Command::new("/bin/sh");
        as_begun(program.args(["-c", &begun]));
        child::run(&mut program, b"", Duration::from_secs(60)).await.unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
