//! The page that lists AVPs and messages is what the table says.

use std::fmt::Write;

use l2tp_control::wire::{AVPS, Attribute, MESSAGES};

fn page() -> String {
    let mut page = String::from(
        "| AVP | name | M | may be hidden | bytes of value | defined in |\n|---:|---|---|---|---|---|\n",
    );
    let yes = |bit| if bit { "yes" } else { "" };
    for rule in AVPS {
        let bytes = match (rule.min, rule.max) {
            (min, max) if min == max => min.to_string(),
            (min, _) => format!("{min} or more"),
        };
        let (m, h) = (yes(rule.mandatory), yes(rule.hideable));
        let (number, name, clause) = (rule.attribute.number, rule.name, rule.clause);
        writeln!(page, "| {number} | {name} | {m} | {h} | {bytes} | {clause} |").unwrap();
    }
    page.push_str("\n| type | message | must have | may have |\n|---:|---|---|---|\n");
    let names = |list: &[Attribute]| -> String {
        list.iter().map(|attribute| attribute.rule().unwrap().name).collect::<Vec<_>>().join(", ")
    };
    for rule in MESSAGES {
        let (number, name) = (rule.message_type.0, rule.message_type);
        writeln!(page, "| {number} | {name} | {} | {} |", names(rule.must), names(rule.may)).unwrap();
    }
    page
}

/// `UPDATE_TABLE=1 cargo test -p l2tp-control --test wire table` writes the page anew.
#[test]
fn the_page_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/wire/table.md");
    if std::env::var_os("UPDATE_TABLE").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), page());
}
