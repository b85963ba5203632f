//! Name servers come and go by each of the three ways, and nothing is left, whatever happens.

use std::fs::{self, File, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fake::Folder;
use ol2tpd::config::DnsMode;
use ol2tpd::resolver::{Paths, Resolver};

mod fake;

const BEFORE: &str = "# by hand\nsearch example.net\nnameserver 192.0.2.53\noptions edns0\nnameserver\t::1\n";

/// A machine's files in a folder, and programs that write down how they were called.
struct Machine {
    folder: Folder,
}

impl Machine {
    fn new(test: &str) -> Self {
        let folder = Folder::new(&format!("resolver-{test}"));
        fs::create_dir(folder.0.join("bin")).unwrap();
        let machine = Self { folder };
        fs::write(machine.resolv_conf(), BEFORE).unwrap();
        machine
    }

    fn resolv_conf(&self) -> PathBuf {
        self.folder.0.join("resolv.conf")
    }

    fn paths(&self) -> Paths {
        Paths {
            resolv_conf: self.resolv_conf(),
            programs: vec![self.folder.0.join("bin"), "/usr/bin".into(), "/bin".into()],
            records: self.folder.0.join("run/dns"),
        }
    }

    async fn resolver(&self) -> Resolver {
        Resolver::open(self.paths()).await
    }

    fn program(&self, name: &str, then: &str) {
        let log = self.folder.0.join("log");
        let body = format!("{{ echo {name} \"$@\"; cat; }} >> {}\n{then}", log.display());
        self.folder.script(&format!("bin/{name}"), &body);
    }

    /// How the programs were called since the last look.
    fn called(&self) -> Vec<String> {
        let log = self.folder.0.join("log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        text.lines().map(str::to_owned).collect()
    }

    fn content(&self) -> String {
        fs::read_to_string(self.resolv_conf()).unwrap()
    }

    /// Everything in the machine's folder, links as such.
    fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder.0).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let content = match fs::read_link(&path) {
                Ok(target) => format!("-> {}", target.display()),
                Err(_) if path.is_dir() => String::new(),
                Err(_) => fs::read_to_string(&path).unwrap(),
            };
            files.push((entry.file_name().to_string_lossy().into_owned(), content));
        }
        files.sort();
        files
    }

    /// The files of this machine as a kill would leave them now, on another.
    fn killed(&self, test: &str) -> Self {
        let other = Self { folder: Folder::new(&format!("resolver-{test}")) };
        let copied = std::process::Command::new("/bin/cp")
            .args(["-a", "--"])
            .arg(self.folder.0.join("."))
            .arg(&other.folder.0)
            .status();
        assert!(copied.unwrap().success());
        other
    }
}

fn servers(text: &[&str]) -> Vec<IpAddr> {
    text.iter().map(|server| server.parse().unwrap()).collect()
}

fn told() -> Vec<IpAddr> {
    servers(&["10.0.0.53", "2001:db8::53"])
}

#[tokio::test]
async fn the_file_has_the_peers_servers_and_is_put_back() {
    let machine = Machine::new("file");
    fs::set_permissions(machine.resolv_conf(), Permissions::from_mode(0o640)).unwrap();
    let before = machine.files();
    let mut resolver = machine.resolver().await;
    assert_eq!(resolver.set(DnsMode::Auto, "ppp0", &told(), true).await.unwrap(), DnsMode::File);
    let content = machine.content();
    let (mark, rest) = content.split_once('\n').unwrap();
    assert!(mark.contains("ol2tp") && mark.contains("resolv.conf.ol2tp"), "{mark}");
    assert_eq!(
        rest,
        "nameserver 10.0.0.53\nnameserver 2001:db8::53\n# by hand\nsearch example.net\noptions edns0\n"
    );
    let mode = || fs::metadata(machine.resolv_conf()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o640);
    resolver.unset("ppp0").await.unwrap();
    assert_eq!(machine.files(), before);
    assert_eq!(mode(), 0o640);
    // Again, and by the end of the daemon.
    resolver.set(DnsMode::File, "ppp0", &told(), false).await.unwrap();
    resolver.close().await;
    assert_eq!(machine.files(), before);
    let mut resolver = machine.resolver().await;
    resolver.set(DnsMode::File, "ppp0", &told(), false).await.unwrap();
    drop(resolver);
    assert_eq!(machine.files(), before);
}

#[tokio::test]
async fn two_connections_share_the_file() {
    let machine = Machine::new("two");
    let before = machine.files();
    let mut resolver = machine.resolver().await;
    resolver.set(DnsMode::File, "ppp0", &servers(&["10.0.0.1"]), true).await.unwrap();
    resolver.set(DnsMode::File, "ppp1", &servers(&["10.0.0.2"]), true).await.unwrap();
    let used = || -> Vec<String> {
        let content = machine.content();
        content.lines().filter_map(|line| line.strip_prefix("nameserver ")).map(str::to_owned).collect()
    };
    assert_eq!(used(), ["10.0.0.2", "10.0.0.1"], "the latest first");
    resolver.unset("ppp0").await.unwrap();
    assert_eq!(used(), ["10.0.0.2"]);
    resolver.set(DnsMode::File, "ppp1", &servers(&["10.0.0.3"]), true).await.unwrap();
    assert_eq!(used(), ["10.0.0.3"], "in place of those it had");
    resolver.unset("ppp1").await.unwrap();
    assert_eq!(machine.files(), before);
}

#[tokio::test]
async fn a_link_or_nothing_is_put_back_as_well() {
    let machine = Machine::new("link");
    let target = machine.folder.0.join("generated");
    fs::rename(machine.resolv_conf(), &target).unwrap();
    for original in [Some(Path::new("generated")), Some(Path::new("nowhere")), None] {
        let _ = fs::remove_file(machine.resolv_conf());
        if let Some(original) = original {
            symlink(original, machine.resolv_conf()).unwrap();
        }
        let before = machine.files();
        let mut resolver = machine.resolver().await;
        resolver.set(DnsMode::File, "ppp0", &told(), true).await.unwrap();
        assert!(machine.content().contains("nameserver 10.0.0.53\n"));
        let kept = machine.content().contains("search example.net");
        assert_eq!(kept, original == Some(Path::new("generated")));
        assert_eq!(fs::read_to_string(&target).unwrap(), BEFORE, "the link's target is not touched");
        let killed = machine.killed("link-killed");
        drop(killed.resolver().await);
        drop(resolver);
        assert_eq!(machine.files(), before);
        assert_eq!(killed.files(), before);
    }
}

#[tokio::test]
async fn what_a_killed_run_left_is_put_back() {
    let machine = Machine::new("kill");
    let before = machine.files();
    let mut resolver = machine.resolver().await;
    resolver.set(DnsMode::File, "ppp0", &told(), true).await.unwrap();
    let changed = machine.files();
    let killed = machine.killed("killed");
    assert_eq!(killed.files(), changed);
    drop(killed.resolver().await);
    assert_eq!(killed.files(), before);
    // While the first run lives, it is left alone, and nobody else takes the file.
    let mut other = machine.resolver().await;
    assert_eq!(machine.files(), changed);
    let error = other.set(DnsMode::File, "ppp1", &told(), true).await.unwrap_err().to_string();
    assert!(error.contains("another ol2tp") && error.contains("ppp1"), "{error}");
    drop(other);
    assert_eq!(machine.files(), changed);
}

#[tokio::test]
async fn a_backup_that_was_never_completed_is_removed() {
    let machine = Machine::new("half");
    let before = machine.files();
    fs::write(machine.folder.0.join("resolv.conf.ol2tp"), "# ol2tp's back").unwrap();
    drop(machine.resolver().await);
    assert_eq!(machine.files(), before);
}

#[tokio::test]
async fn what_another_wrote_meanwhile_stays() {
    let machine = Machine::new("other");
    let mut resolver = machine.resolver().await;
    resolver.set(DnsMode::File, "ppp0", &told(), true).await.unwrap();
    fs::write(machine.resolv_conf(), "nameserver 9.9.9.9\n").unwrap();
    let killed = machine.killed("other-killed");
    drop(resolver);
    drop(killed.resolver().await);
    for machine in [machine, killed] {
        assert_eq!(machine.content(), "nameserver 9.9.9.9\n");
        assert_eq!(machine.files().len(), 2, "no backup is left: {:?}", machine.files());
    }
}

#[tokio::test]
async fn resolvconf_gets_a_record() {
    let machine = Machine::new("resolvconf");
    machine.program("resolvconf", "");
    let mut resolver = machine.resolver().await;
    assert_eq!(resolver.set(DnsMode::Auto, "ppp0", &told(), true).await.unwrap(), DnsMode::Resolvconf);
    let added = ["resolvconf -a tun.ppp0.ol2tp -m 0 -x", "nameserver 10.0.0.53", "nameserver 2001:db8::53"];
    assert_eq!(machine.called(), added);
    assert_eq!(machine.content(), BEFORE);
    let killed = machine.killed("resolvconf-killed");
    killed.program("resolvconf", "");
    // Another daemon that starts meanwhile does not take it for a dead one's.
    drop(machine.resolver().await);
    assert_eq!(machine.called(), [""; 0]);
    resolver.unset("ppp0").await.unwrap();
    assert_eq!(machine.called(), ["resolvconf -d tun.ppp0.ol2tp"]);
    resolver.set(DnsMode::Resolvconf, "ppp0", &told(), false).await.unwrap();
    assert_eq!(machine.called()[0], "resolvconf -a tun.ppp0.ol2tp -m 0");
    resolver.close().await;
    assert_eq!(machine.called(), ["resolvconf -d tun.ppp0.ol2tp"]);

    drop(killed.resolver().await);
    assert_eq!(killed.called(), ["resolvconf -d tun.ppp0.ol2tp"]);
    drop(killed.resolver().await);
    assert_eq!(killed.called(), [""; 0], "once");
}

#[tokio::test]
async fn systemd_resolved_is_told_by_resolvectl() {
    let machine = Machine::new("resolved");
    machine.program("resolvectl", "");
    machine.program("resolvconf", "");
    let stub = "../run/systemd/resolve/stub-resolv.conf";
    fs::remove_file(machine.resolv_conf()).unwrap();
    symlink(stub, machine.resolv_conf()).unwrap();
    let mut resolver = machine.resolver().await;
    assert_eq!(resolver.set(DnsMode::Auto, "ppp0", &told(), true).await.unwrap(), DnsMode::Resolved);
    assert_eq!(machine.called(), ["resolvectl dns ppp0 10.0.0.53 2001:db8::53", "resolvectl domain ppp0 ~."]);
    resolver.unset("ppp0").await.unwrap();
    assert_eq!(machine.called(), ["resolvectl revert ppp0"]);
    resolver.set(DnsMode::Resolved, "ppp0", &told(), false).await.unwrap();
    assert_eq!(machine.called()[1..], ["resolvectl default-route ppp0 true"]);
    // The interface has gone.
    machine.program("resolvectl", "exit 1");
    resolver.close().await;
    assert_eq!(machine.called(), ["resolvectl revert ppp0"]);
    assert_eq!(fs::read_link(machine.resolv_conf()).unwrap(), Path::new(stub));
}

#[tokio::test]
async fn a_resolvconf_that_is_resolvectl_is_systemds() {
    let machine = Machine::new("alias");
    machine.program("resolvectl", "");
    symlink("resolvectl", machine.folder.0.join("bin/resolvconf")).unwrap();
    let mut resolver = machine.resolver().await;
    assert_eq!(resolver.set(DnsMode::Auto, "ppp0", &told(), true).await.unwrap(), DnsMode::Resolved);
    assert_eq!(machine.called()[0], "resolvectl dns ppp0 10.0.0.53 2001:db8::53");
}

#[tokio::test]
async fn a_way_that_fails_is_followed_by_the_next() {
    let machine = Machine::new("fails");
    machine.program("resolvconf", "exit 3");
    let mut resolver = machine.resolver().await;
    assert_eq!(resolver.set(DnsMode::Auto, "ppp0", &told(), true).await.unwrap(), DnsMode::File);
    resolver.unset("ppp0").await.unwrap();
    assert_eq!(machine.content(), BEFORE);
    let error = resolver.set(DnsMode::Resolvconf, "ppp0", &told(), true).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "name servers of ppp0: resolvconf -a tun.ppp0.ol2tp -m 0 -x: failed with exit status: 3"
    );
    assert_eq!(fs::read_dir(machine.paths().records).unwrap().count(), 0, "nothing is noted down");
    let error = resolver.set(DnsMode::Resolved, "ppp0", &told(), true).await.unwrap_err().to_string();
    assert!(error.contains("there is no resolvectl in ") && error.contains("(dns)"), "{error}");
}

#[tokio::test]
async fn addresses_that_are_no_servers_are_left_out() {
    let machine = Machine::new("useless");
    let mut resolver = machine.resolver().await;
    let useless = servers(&["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"]);
    let error = resolver.set(DnsMode::File, "ppp0", &useless, true).await.unwrap_err().to_string();
    assert!(error.contains("named none that can be used"), "{error}");
    assert_eq!(machine.content(), BEFORE);
    assert_eq!(resolver.set(DnsMode::None, "ppp0", &told(), true).await.unwrap(), DnsMode::None);
    assert_eq!(machine.content(), BEFORE);
    resolver.unset("ppp0").await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let machine = Machine::new("folder");
    let file = machine.folder.0.join("plain");
    File::create(&file).unwrap();
    let paths = Paths { resolv_conf: file.join("resolv.conf"), ..machine.paths() };
    let mut resolver = Resolver::open(paths).await;
    let error = resolver.set(DnsMode::File, "ppp0", &told(), true).await.unwrap_err().to_string();
    assert!(error.contains("plain/resolv.conf") && error.contains("Not a directory"), "{error}");
}
