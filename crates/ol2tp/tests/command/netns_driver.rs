//! Which driver a daemon has taken, and why, is told and shown.

use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use ol2tp::bed::Bed;
use ol2tpd::Notice;
use serde_json::Value;

use crate::home::Home;
use crate::vpn::USER;

/// A static session says it in the log, with -v where there was no choice.
#[test]
fn a_static_session_says_which_driver_it_has() {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    for (arguments, reason) in
        [(&["-v", "static"][..], "as it was wanted"), (&["static", "--driver", "auto"], "works here")]
    {
        let tunnel =
            ["--local", "192.0.2.2:1701", "--peer", "192.0.2.1:1701", "--tunnel", "1:2", "--session", "3:4"];
        let mut end = home.start(&[arguments, &tunnel].concat());
        assert!(end.line().expect("an interface").contains(" is up, "));
        let report: Value = serde_json::from_str(&home.output(&["show", "--json"])).unwrap();
        let [name, why] = ["name", "why"].map(|key| report["driver"][key].as_str().unwrap().to_owned());
        assert!(why.contains(reason) || why.contains("does not work here: "), "{why}");
        let said = format!("driver {name}: {why}");
        assert_eq!(home.output(&["show"]).lines().last(), Some(&*said));
        end.signal(Signal::SIGTERM);
        let ended = end.ended();
        assert!(ended.errors.contains(&said), "{ended:#?}");
    }
}

/// Neither driver works: that is said at the start, not of each call.
#[test]
fn auto_says_what_both_lack() {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    let hidden = home.enter(|| {
        let none = None::<&str>;
        mount(Some("tmpfs"), "/dev/net", Some("tmpfs"), MsFlags::empty(), none)?;
        if Path::new("/dev/ppp").exists() {
            mount(Some("/dev/null"), "/dev/ppp", none, MsFlags::MS_BIND, none)?;
        }
        Ok(())
    });
    hidden.unwrap();
    home.write("/etc/password", "sesame");
    let tunnel =
        ["--local", "192.0.2.2:1701", "--peer", "192.0.2.1:1701", "--tunnel", "1:2", "--session", "3:4"];
    let server = ["--listen", "192.0.2.2", "--user", "anna:sesame", "--local-address", "10.64.0.1"];
    for (command, more) in [
        ("static", &tunnel[..]),
        ("serve", &[&server[..], &["--pool", "10.64.0.10-10.64.0.11"]].concat()),
        ("connect", &["192.0.2.1", "--dns", "none", "--user", USER, "--password-file", "/etc/password"]),
    ] {
        let output = home.run(&[&[command, "--driver", "auto"], more].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command}: {errors}");
        for word in ["the kernel's PPPoL2TP does not work here: ", "And /dev/net/tun is missing: "] {
            assert!(errors.contains(word), "{command}: {errors}");
        }
    }
}

/// Home `linux` where the kernel has PPPoL2TP; the reason is the probe's.
#[test]
fn auto_takes_what_works() {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    let chosen = || {
        let chosen = pppol2tp::auto(pppol2tp::user::Config::default());
        chosen.map(|(driver, why)| (driver.name(), why)).map_err(io::Error::other)
    };
    let (name, why) = home.enter(chosen).unwrap();
    let works = if name == "linux" { "works here" } else { "does not work here: " };
    assert!(why.starts_with("the kernel's PPPoL2TP ") && why.contains(works), "{name}: {why}");

    let user = format!("{USER}:sesame");
    let mut server = home.start(&[
        "serve",
        "--driver",
        "auto",
        "--json",
        "--listen",
        "192.0.2.2",
        "--user",
        &user,
        "--local-address",
        "10.64.0.1",
        "--pool",
        "10.64.0.10-10.64.0.11",
    ]);
    let told = server.until(|notice| match notice {
        Notice::Driver { name, why } => Some((name, why)),
        _ => None,
    });
    assert_eq!(told, (name.into(), why.clone()));
    server.until_listening();
    let report: Value = serde_json::from_str(&home.output(&["show", "--json"])).unwrap();
    assert_eq!(report["driver"], serde_json::json!({ "name": name, "why": why }));
    let text = home.output(&["show"]);
    assert_eq!(text.lines().last(), Some(&*format!("driver {name}: {why}")), "{text}");
    server.stop();
}
