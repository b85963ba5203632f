//! The choice between the homes follows what the kernel has, and says why.

use pppol2tp::auto;
use pppol2tp::linux::LinuxDriver;
use pppol2tp::user::Config;

#[test]
fn follows_the_probe() {
    let (driver, why) = auto(Config::default()).expect("a driver");
    match LinuxDriver::probe() {
        Ok(_) => assert_eq!((driver.name(), &*why), ("linux", "the kernel's PPPoL2TP works here")),
        Err(error) => {
            assert_eq!(driver.name(), "user");
            assert!(why.contains(&error.to_string()), "{why}");
        }
    }
}
