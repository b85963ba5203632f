//! Scripts: what they are told, in which order they run, and when they are killed.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use fake::Folder;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use ol2tpd::config::Hooks;
use ol2tpd::hooks::{Facts, Hook, Runner};
use pppol2tp::Prefix;

mod fake;

const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with scripts. They write lines to `log`, and to the test through a FIFO; they read from one
/// what the test allows.
struct Scripts {
    folder: Folder,
    told: BufReader<File>,
    allowed: File,
}

impl Scripts {
    fn new(test: &str) -> Self {
        let folder = Folder::new(test);
        let fifo = |name| {
            let path = folder.0.join(name);
            mkfifo(&path, Mode::S_IRWXU).unwrap();
            // Opened both ways, nobody waits for the other end.
            OpenOptions::new().read(true).write(true).open(path).unwrap()
        };
        let (told, allowed) = (BufReader::new(fifo("tell")), fifo("allow"));
        Self { folder, told, allowed }
    }

    fn script(&self, name: &str, body: &str) -> Option<PathBuf> {
        let folder = self.folder.0.display();
        Some(self.folder.script(name, &format!("set -e\nD={folder}\n{body}")))
    }

    /// The next line that a script told.
    fn told(&mut self) -> String {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Lets that many scripts go on.
    fn allow(&mut self, scripts: usize) {
        self.allowed.write_all(&vec![b'\n'; scripts]).unwrap();
    }

    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.0.join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn facts() -> Facts {
    Facts {
        interface: "ppp7".into(),
        local: Some([10, 0, 0, 1].into()),
        remote: Some([10, 0, 0, 2].into()),
        local6: Some("fe80::1".parse().unwrap()),
        remote6: Some("fe80::2".parse().unwrap()),
        prefix: Some(Prefix { address: "2001:db8:0:5::".parse().unwrap(), len: 64 }),
        dns: vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()],
        tunnel_id: 11,
        session_id: 12,
        peer: Some("203.0.113.9".parse().unwrap()),
        peer_name: b"lac.example".to_vec(),
        user: b"anna $(id)".to_vec(),
        user_is_peer: true,
        calling_number: b"+49 30 1".to_vec(),
        called_number: b"77".to_vec(),
        profile: "office".into(),
        speed: 1000,
        reason: "the peer said: `reboot`".into(),
        connect_time: Duration::from_millis(90_500),
        bytes_in: 5,
        bytes_out: 6,
    }
}

/// What a script writes of itself.
const ALL: &str = r#"env >> $D/log; printf '<%s>' "$@" >> $D/log; pwd >> $D/log"#;

async fn told_all(hook: Hook) -> Vec<String> {
    let scripts = Scripts::new(&format!("hooks-{}", hook.name()));
    let script = scripts.script("script", ALL);
    let hooks = Hooks {
        ip_up: script.clone(),
        ip_down: script.clone(),
        ipv6_up: script.clone(),
        ipv6_down: script,
        ..Hooks::default()
    };
    let runner = Runner::new(hooks);
    runner.run(1, hook, &facts());
    runner.finish(PATIENCE).await;
    let mut log = scripts.log();
    // What the shell adds itself.
    log.retain(|line| !["PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|own| line.starts_with(own)));
    log.sort();
    log
}

#[tokio::test]
async fn ip_up_is_told_all_of_this() {
    assert_eq!(
        told_all(Hook::IpUp).await,
        [
            "<ppp7><><1000><10.0.0.1><10.0.0.2><office>/",
            "CALLED_NUMBER=77",
            "CALLING_NUMBER=+49_30_1",
            "DNS1=192.0.2.53",
            "DNS2=2001:db8::53",
            "HOOK=ip-up",
            "IFNAME=ppp7",
            "INTERFACE=ppp7",
            "IPLOCAL=10.0.0.1",
            "IPREMOTE=10.0.0.2",
            "LOCAL_ADDRESS=10.0.0.1",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PEER=203.0.113.9",
            "PEERNAME=anna___id_",
            "PEER_NAME=lac.example",
            "PROFILE=office",
            "REMOTE_ADDRESS=10.0.0.2",
            "SESSION_ID=12",
            "SPEED=1000",
            "TUNNEL_ID=11",
            "USEPEERDNS=1",
            "USER=anna___id_",
        ]
    );
}

#[tokio::test]
async fn ip_down_is_told_why_and_how_much() {
    let told = told_all(Hook::IpDown).await;
    for line in [
        "HOOK=ip-down",
        "REASON=the peer said: _reboot_",
        "CONNECT_TIME=90",
        "BYTES_IN=5",
        "BYTES_RCVD=5",
        "BYTES_OUT=6",
        "BYTES_SENT=6",
    ] {
        assert!(told.iter().any(|told| told == line), "{line} {told:?}");
    }
}

#[tokio::test]
async fn ipv6_has_its_own_addresses() {
    for hook in [Hook::Ipv6Up, Hook::Ipv6Down] {
        let told = told_all(hook).await;
        for line in [
            "<ppp7><><1000><fe80::1><fe80::2><office>/",
            "LOCAL_ADDRESS=fe80::1",
            "LLLOCAL=fe80::1",
            "REMOTE_ADDRESS=fe80::2",
            "LLREMOTE=fe80::2",
            "PREFIX=2001:db8:0:5::/64",
        ] {
            assert!(told.iter().any(|told| told == line), "{line} {told:?}");
        }
        assert!(!told.iter().any(|told| told.starts_with("IPLOCAL")), "{told:?}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_not_set() {
    let scripts = Scripts::new("hooks-unknown");
    let runner = Runner::new(Hooks { ip_up: scripts.script("up", ALL), ..Hooks::default() });
    runner.run(1, Hook::IpUp, &Facts::default());
    runner.run(1, Hook::IpDown, &Facts::default());
    runner.finish(PATIENCE).await;
    let log = scripts.log();
    assert!(log.iter().any(|line| line == "HOOK=ip-up"), "{log:?}");
    for name in ["PEER", "USER", "PEERNAME", "DNS1", "USEPEERDNS", "IPLOCAL", "REASON"] {
        assert!(!log.iter().any(|line| line.starts_with(&format!("{name}="))), "{name} {log:?}");
    }
}

#[tokio::test]
async fn those_of_a_session_run_in_order() {
    let mut scripts = Scripts::new("hooks-order");
    let hooks = Hooks {
        ip_up: scripts.script("up", "echo up > $D/tell; read x < $D/allow; echo up >> $D/log"),
        ip_down: scripts.script("down", "echo down >> $D/log"),
        ..Hooks::default()
    };
    let runner = Runner::new(hooks);
    runner.run(1, Hook::IpUp, &facts());
    let (mut scripts, _) = blocking(move || {
        let told = scripts.told();
        (scripts, told)
    })
    .await;
    runner.run(1, Hook::IpDown, &facts());
    runner.run(2, Hook::IpDown, &facts());
    scripts.allow(1);
    runner.finish(PATIENCE).await;
    let log = scripts.log();
    let up = log.iter().position(|line| line == "up").expect("it ran");
    assert_eq!(log.len(), 3);
    assert!(log[up + 1..].contains(&"down".into()), "{log:?}");
}

#[tokio::test]
async fn sixteen_at_a_time_and_an_end_cancels_what_has_not_begun() {
    let mut scripts = Scripts::new("hooks-many");
    let hooks = Hooks {
        ip_up: scripts.script(
            "up",
            "echo + >> $D/log; echo $SESSION_ID > $D/tell; read x < $D/allow; echo - >> $D/log",
        ),
        ip_down: scripts.script("down", "echo down $SESSION_ID >> $D/log"),
        ..Hooks::default()
    };
    let runner = Runner::new(hooks);
    let facts = |session_id| Facts { session_id, ..facts() };
    for n in 0..20 {
        runner.run(n, Hook::IpUp, &facts(n as u16));
    }
    let (mut scripts, mut first) = blocking(move || {
        let told: Vec<u16> = (0..16).map(|_| scripts.told().parse().unwrap()).collect();
        (scripts, told)
    })
    .await;
    first.sort_unstable();
    assert_eq!(first, (0..16).collect::<Vec<_>>());
    // 3 has begun, 19 has not.
    runner.run(3, Hook::IpDown, &facts(3));
    runner.run(19, Hook::IpDown, &facts(19));
    scripts.allow(19);
    runner.finish(PATIENCE).await;
    let (mut running, mut most) = (0, 0);
    for line in scripts.log() {
        match line.as_str() {
            "+" => running += 1,
            "-" => running -= 1,
            other => assert_eq!(other, "down 3"),
        }
        most = most.max(running);
    }
    assert_eq!((running, most), (0, 16));
    assert_eq!(scripts.log().len(), 19 * 2 + 1);
}

/// A script whose child goes on for ever, and what reads until both are gone.
fn endless(scripts: &Scripts) -> (Option<PathBuf>, PathBuf) {
    let alive = scripts.folder.0.join("alive");
    mkfifo(&alive, Mode::S_IRWXU).unwrap();
    (scripts.script("up", "exec 3> $D/alive\nsleep 1000 &\necho begun >&3\nwait"), alive)
}

#[tokio::test]
async fn after_the_limit_the_whole_group_is_killed() {
    let scripts = Scripts::new("hooks-limit");
    let (ip_up, alive) = endless(&scripts);
    let hooks = Hooks {
        ip_up,
        ip_down: scripts.script("down", "echo down >> $D/log"),
        timeout: Duration::from_secs(2),
        ..Hooks::default()
    };
    let runner = Runner::new(hooks);
    runner.run(1, Hook::IpUp, &facts());
    // The pipe is closed when all that had it are gone.
    let output = blocking(move || fs::read_to_string(alive).unwrap()).await;
    assert_eq!(output, "begun\n");
    runner.run(1, Hook::IpDown, &facts());
    runner.finish(PATIENCE).await;
    assert_eq!(scripts.log(), ["down"], "the next has its turn");
}

#[tokio::test]
async fn the_end_of_the_daemon_kills_what_is_left() {
    let scripts = Scripts::new("hooks-finish");
    let (ip_up, alive) = endless(&scripts);
    let runner = Runner::new(Hooks { ip_up, timeout: Duration::from_secs(3600), ..Hooks::default() });
    runner.run(1, Hook::IpUp, &facts());
    let (mut pipe, begun) = blocking(move || {
        let mut pipe = BufReader::new(File::open(alive).unwrap());
        let mut line = String::new();
        pipe.read_line(&mut line).unwrap();
        (pipe, line)
    })
    .await;
    assert_eq!(begun, "begun\n");
    runner.finish(Duration::ZERO).await;
    let rest = blocking(move || {
        let mut rest = String::new();
        pipe.read_to_string(&mut rest).unwrap();
        rest
    });
    assert_eq!(rest.await, "");
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    tokio::task::spawn_blocking(work).await.unwrap()
}
