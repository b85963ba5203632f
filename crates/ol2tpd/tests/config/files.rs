//! Files that a file names, and who may read them.

use std::path::Path;

use ol2tpd::config::{Loaded, Settings};

use super::SOUND;
use super::folder::Folder;

#[test]
fn a_secret_is_the_one_line_of_its_file() {
    let folder = Folder::new("secret");
    let text = format!("{SOUND}[[user]]\nname = 'v'\npassword-file = 'secret'\n");
    for (content, password) in
        [("hush", "hush"), ("hush\n", "hush"), ("hush \r\n", "hush "), ("hüsh", "hüsh")]
    {
        folder.write("secret", 0o600, content);
        let Loaded { settings, warnings } = folder.load(&text).unwrap();
        assert_eq!(warnings.0, []);
        assert_eq!(settings.users[1].password.octets(), password.as_bytes());
    }
    for (content, told) in [
        ("", "it is empty"),
        ("\n", "it is empty"),
        ("a\nb\n", "it has more than one line; the secret is all there may be"),
        (&"x".repeat(4097), "it has more than 4096 octets, which is no secret"),
    ] {
        folder.write("secret", 0o600, content);
        assert_eq!(folder.told(&text), [format!("ol2tp.toml:8:17: user.password-file: secret: {told}")]);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new("missing");
    let missing = "No such file or directory (os error 2)";
    let text = format!("{SOUND}password-file = 'x'\n").replace("password = 'p'\n", "");
    assert_eq!(folder.told(&text), [format!("ol2tp.toml:5:17: user.password-file: x: {missing}")]);
    let text = format!("{SOUND}[accounts]\nchap-secrets = 'x'\n[hooks]\nip-up = 'y'\n");
    assert_eq!(
        folder.told(&text),
        [
            format!("ol2tp.toml:7:16: accounts.chap-secrets: x: {missing}"),
            format!("ol2tp.toml:9:9: hooks.ip-up: y: {missing}"),
        ]
    );
    let problems = Settings::load(Path::new("/nonexistent/ol2tp.toml")).unwrap_err();
    assert_eq!(problems.to_string(), format!("/nonexistent/ol2tp.toml: {missing}"));
}

#[test]
fn a_secret_that_everybody_can_read_is_warned_about() {
    let folder = Folder::new("readable");
    folder.write("secret", 0o644, "hush");
    folder.write("chap", 0o604, "a * b *");
    let everybody = "everybody on this machine can read the secret in it; chmod o=";
    let text =
        format!("{SOUND}[[user]]\nname = 'v'\npassword-file = 'secret'\n[accounts]\nchap-secrets = 'chap'\n");
    assert_eq!(
        folder.told(&text),
        [
            format!("ol2tp.toml:8:17: warning: user.password-file: {everybody} secret"),
            format!("ol2tp.toml:10:16: warning: accounts.chap-secrets: {everybody} chap"),
        ]
    );

    folder.write("open.toml", 0o644, SOUND);
    let Loaded { warnings, .. } = Settings::load(&folder.path().join("open.toml")).unwrap();
    let file = folder.path().join("open.toml");
    assert_eq!(warnings.to_string(), format!("{0}: warning: {everybody} {0}", file.display()));

    folder.write("open.toml", 0o644, "[connect.c]\nhost = 'h'\n");
    let Loaded { warnings, .. } = Settings::load(&file).unwrap();
    assert_eq!(warnings.0, [], "there is no secret in it");
}

#[test]
fn accounts_of_chap_secrets() {
    let folder = Folder::new("chap");
    let text = format!("{SOUND}[accounts]\nchap-secrets = 'chap'\nname = 'lns'\n");
    folder.write("chap", 0o600, "a lns 1 10.0.0.7\nb other 2 *\nc * 3 *\n");
    let Loaded { settings, warnings } = folder.load(&text).unwrap();
    assert_eq!(warnings.0, []);
    let names: Vec<_> = settings.users.iter().map(|user| String::from_utf8_lossy(&user.name)).collect();
    assert_eq!(names, ["u", "a", "c"]);
    assert_eq!(&*settings.peers[0].profile.ppp.name, "lns");

    folder.write("chap", 0o600, "a * 1 x\nb * 2 +pol\nu * 3 *\nd * 4 10.0.0.1");
    let text = text + "[pool.pool]\nranges = ['10.1.0.0/24']\n";
    assert_eq!(
        folder.told(&text),
        [
            "chap:1:1: `x` is no address; write one IPv4 address, `*`, `-` or +POOL",
            "chap:2:1: there is no [pool.pol]; did you mean `pool`?",
            "ol2tp.toml:7:16: user.address: the address is our own, the local-address of peer `a`",
            "ol2tp.toml:7:16: warning: accounts.chap-secrets: user `u` is in chap-secrets too; [[user]] counts",
            "ol2tp.toml:9:7: warning: pool.pool: no peer and no user takes addresses out of it",
        ]
    );

    folder.write("chap", 0o600, "a other 1\n");
    let told = folder.told(&format!("{SOUND}[accounts]\nchap-secrets = 'chap'\nname = 'lns'\n"));
    assert_eq!(
        told,
        ["ol2tp.toml:7:16: warning: accounts.chap-secrets: chap has no line for the server `lns` or `*`"]
    );
}

#[test]
fn scripts_can_be_run_and_not_be_changed_by_everybody() {
    let folder = Folder::new("hooks");
    for (mode, told) in [
        (0o644, Some("up cannot be executed; chmod +x up")),
        (0o757, Some("everybody on this machine can change up; chmod o-w up")),
        (0o755, None),
    ] {
        folder.write("up", mode, "#!/bin/sh\n");
        let expected: Vec<_> =
            told.map(|told| format!("ol2tp.toml:7:9: hooks.ip-up: {told}")).into_iter().collect();
        assert_eq!(folder.told(&format!("{SOUND}[hooks]\nip-up = 'up'\n")), expected);
    }
    let Loaded { settings, .. } = folder.load(&format!("{SOUND}[hooks]\nip-up = 'up'\n")).unwrap();
    assert_eq!(settings.hooks.ip_up, Some(folder.path().join("up")));
    let told = folder.told(&format!("{SOUND}[hooks]\nip-up = '.'\n"));
    assert!(told[0].ends_with("is no file"), "{told:?}");
}

#[test]
fn no_secret_is_ever_told() {
    let folder = Folder::new("no-secret");
    folder.write("secret", 0o600, "hush");
    folder.write("chap", 0o600, "a * hush *");
    let text = "[peer.a]\nsecret = 'hush'\nlocal-address = '10.0.0.1'\n[peer.b]\nhost-name = 'b'\ninherits = 'a'\n\
                secret-file = 'secret'\n[[user]]\nname = 'u'\npassword = 'hush'\n[accounts]\nchap-secrets = 'chap'\n\
                [connect.c]\nhost = 'h'\nuser = 'u'\npassword = 'hush'\n";
    let loaded = folder.load(text).unwrap();
    let view: String = loaded.settings.view().iter().map(ToString::to_string).collect();
    for told in [format!("{loaded:#?}"), view, loaded.settings.json().to_string()] {
        assert!(!told.contains("hush"), "{told}");
        assert!(!told.contains("[104, 117"), "{told}");
    }
    let wrong = text.replace("'hush'", "['hush']");
    assert!(!folder.told(&wrong).concat().contains("hush"));
}
