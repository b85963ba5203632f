//! Which driver a daemon has taken, and why, is told and shown.

use std::io;

use ol2tp::bed::Bed;
use ol2tpd::Notice;
use serde_json::Value;

use crate::home::Home;
use crate::vpn::USER;

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
