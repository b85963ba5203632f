//! The object that is committed, as the loader reads it, beside the layout: one of before a change of it is found here,
//! any other by `cargo xtask bpf --check`.

use std::collections::BTreeMap;

use aya_obj::{Object, ProgramSection};
use pppol2tp_bpf::OBJECT;
use pppol2tp_bpf::layout::{Counters, Session, Way};

fn object() -> Object {
    Object::parse(OBJECT).expect("an object that the loader takes")
}

#[test]
fn maps_have_keys_and_values_of_the_layout() {
    let object = object();
    let sizes: BTreeMap<_, _> =
        object.maps.iter().map(|(name, map)| (name.as_str(), (map.key_size(), map.value_size()))).collect();
    let number = 4;
    let address = 4 + 16;
    let of = |size: usize| u32::try_from(size).expect("a small one");
    let expected = [
        ("SESSIONS", (number, of(size_of::<Session>()))),
        ("COUNTERS", (number, of(size_of::<Counters>()))),
        ("IDS", (4, number)),
        ("INTERFACES", (4, number)),
        ("ADDRESSES", (address, number)),
        ("PREFIXES", (4 + address, number)),
        ("WAYS", (number, of(size_of::<Way>()))),
    ];
    assert_eq!(sizes, BTreeMap::from(expected));
}

#[test]
fn there_is_a_program_for_each_way() {
    let object = object();
    for name in ["down", "up"] {
        let program = object.programs.get(name).unwrap_or_else(|| panic!("no program {name}"));
        assert!(matches!(program.section, ProgramSection::SchedClassifier), "{name}: {:?}", program.section);
    }
    assert_eq!(object.programs.len(), 2);
}

#[test]
fn it_lies_as_its_format_wants_it() {
    assert!(OBJECT.as_ptr().addr().is_multiple_of(8));
}
