//! A resolv.conf that is a mount of its own, as containers have it: nothing can be renamed over it.

use std::fs;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use ol2tpd::config::DnsMode;
use ol2tpd::resolver::{Paths, Resolver};

#[test]
fn a_mounted_file_is_written_in_place_and_put_back() {
    let test = || {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace (needs root)");
        let folder = std::env::temp_dir().join(format!("ol2tpd-mounted-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let bind = |from: &str, to: &std::path::Path, flags| {
            mount(Some(from), to, None::<&str>, flags, None::<&str>)
        };
        bind("none", "/".as_ref(), MsFlags::MS_REC | MsFlags::MS_PRIVATE).unwrap();
        // It goes with the namespace.
        mount(Some("none"), &folder, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        let (source, resolv_conf) = (folder.join("source"), folder.join("resolv.conf"));
        for file in [&source, &resolv_conf] {
            fs::write(file, "nameserver 192.0.2.53\nsearch example.net\n").unwrap();
        }
        bind(source.to_str().unwrap(), &resolv_conf, MsFlags::MS_BIND).unwrap();

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let paths =
                Paths { resolv_conf: resolv_conf.clone(), records: folder.join("run"), ..Paths::default() };
            let mut resolver = Resolver::open(paths).await;
            resolver.set(DnsMode::File, "ppp0", &["10.0.0.53".parse().unwrap()], true).await.unwrap();
            let content = fs::read_to_string(&source).unwrap();
            assert!(content.contains("\nnameserver 10.0.0.53\nsearch example.net\n"), "{content}");
            resolver.close().await;
        });
        assert_eq!(fs::read_to_string(&source).unwrap(), "nameserver 192.0.2.53\nsearch example.net\n");
        let mut left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["resolv.conf", "source"]);
        folder
    };
    let folder = thread::scope(|scope| scope.spawn(test).join().unwrap());
    fs::remove_dir(folder).unwrap();
}
