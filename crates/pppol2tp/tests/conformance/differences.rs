//! What `docs/driver.md` lists is what the rows say, and nothing else.

use std::collections::BTreeSet;

use crate::home::AS_THE_KERNELS;
use crate::step::Step;
use crate::{close, connect, frames, headers, interface, ioctls, options, pass_up, sequence};

const UNITS: &str = include_str!("units.rs");
const DOCS: &str = include_str!("../../../../docs/driver.md");

/// The first cells of the table behind a heading.
fn listed(heading: &str) -> BTreeSet<String> {
    let (_, section) = DOCS.split_once(&format!("\n{heading}\n")).expect(heading);
    let lines = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).expect("a cell").trim().replace('`', "")).collect()
}

/// Why home `linux` does something else.
fn reasons(steps: &[Step]) -> BTreeSet<String> {
    let mut reasons = BTreeSet::new();
    for step in steps {
        if let Step::Differs(_, instead, why) = step {
            reasons.insert((*why).to_owned());
            reasons.extend(self::reasons(instead));
        }
    }
    reasons
}

#[test]
fn all_are_listed() {
    let all = [
        close::steps(),
        connect::steps(),
        connect::netns::steps(),
        frames::steps(),
        frames::netns::steps(),
        headers::steps(),
        ioctls::steps(),
        options::steps(),
        pass_up::steps(),
        sequence::steps(),
    ];
    let mut reasons = reasons(&all.concat());
    // Those with a unit are code.
    let units = UNITS.split(" differs(").skip(1);
    reasons.extend(
        units.filter_map(|call| Some(call.trim_start().strip_prefix('"')?.split_once('"')?.0.into())),
    );
    assert_eq!(reasons, listed("### What the kernel's driver does differently"));
    assert_eq!(UNITS.matches("is_linux()").count(), 1, "only to make a driver; else there is differs()");
}

#[test]
fn those_of_the_module_are_listed() {
    let names: BTreeSet<_> = AS_THE_KERNELS.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(names, listed("## The module"));
    assert!(names.is_subset(&listed("### What the kernel's driver does differently")));
}

#[test]
fn all_of_the_rust_interface_are_listed() {
    let rows: BTreeSet<_> = interface::netns::ROWS.iter().map(|&row| row.to_owned()).collect();
    assert_eq!(rows, listed("### Through the Rust interface"));
}

#[test]
fn what_is_for_home_user_only_is_listed() {
    let modules = include_str!("user/mod.rs").lines().filter_map(|line| line.strip_prefix("mod "));
    let modules = modules.map(|module| format!("user::{}", module.trim_end_matches(';')));
    assert_eq!(modules.collect::<BTreeSet<_>>(), listed("### What only home `user` is tested for"));
}
