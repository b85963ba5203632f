//! Results as tables in Markdown.

use serde_json::{Map, Value};

const BEGIN: &str = "<!-- cargo xtask bench writes from here -->\n";
const END: &str = "<!-- cargo xtask bench writes to here -->\n";

/// A part's title, and how it was measured.
const PARTS: [(&str, &str, &str); 10] = [
    ("rules", "The rules alone", "Nanoseconds for each frame, without system calls and copies of payload."),
    (
        "modes",
        "The driver with each set of offloads",
        "`direct` is the bare veth. Medians of rounds; CPU time is that of either end's process for each frame of 200 bytes.",
    ),
    (
        "fast",
        "The fast path",
        "The bare veth, the ordinary way and the fast path in turn; then the same over a veth before which the kernel cuts super-packets. \
         Medians of rounds; shares are medians of the rounds' ratios, and their range.",
    ),
    (
        "loads",
        "Loads, and single properties of a tunnel",
        "Each load over the bare veth and then through the tunnel, round after round. *base* is IPv4 in IPv4 with an interface of \
         its own and without sequence numbers, by the ordinary way; each other tunnel differs from it in one thing. *there* is from left to right; \
         *both*: at the same time, amounts are sums. Amounts are medians of rounds, shares medians of the rounds' ratios, and \
         their range. CPU time is that of either end's process, what the kernel does in its system calls included, \
         for each frame of UDP (200 bytes) or each megabyte of TCP.",
    ),
    (
        "sessions",
        "Many sessions",
        "First both ends with an interface for all sessions, in turn beside one session, by either way; frames of 200 bytes are spread over \
         all. Then a server on one core, and its clients on another, which set sessions up and let them rest.",
    ),
    (
        "frames",
        "Frames through a server on one core",
        "Medians of rounds. *A bare TUN*: packets of the same length, written or read one by one on the same core in the same \
         round; of it: median of the rounds' ratios, and their range. CPU time is that of the server's process.",
    ),
    (
        "latency",
        "Latency",
        "Frames of 64 bytes, one each millisecond, one way, which carry the time when they were sent; sender and receiver have \
         one clock; at rest, and beside a tenth of the frames that the tunnel carries, which go the same way. Median / 99th \
         percentile of a round, medians of rounds. What an end adds is half of the difference: a frame passes two. Most of \
         it is that a thread of the driver is woken at either end: not by the fast path.",
    ),
    (
        "l2tpns",
        "Frames, beside l2tpns",
        "Both servers in turn, each on the same one core, round after round; medians, and the ratio's range.",
    ),
    (
        "pty",
        "xl2tpd's own path in user space",
        "What xl2tpd does where the kernel's L2TP is not (`force userspace = yes`): pppd on a pseudo-terminal, whose bytes it copies \
         to UDP and back; without compression, with an MTU of 1400 bytes, as ours has here. In turn in one guest in User-Mode Linux. \
         System calls are many times dearer there than on a machine: only ratios mean something.",
    ),
    (
        "kernel",
        "The kernel's driver",
        "The kernel's own driver and ours, by its ordinary way and by its fast path, in turn on Debian's kernel in QEMU, which emulates two processors: only ratios mean \
         something.",
    ),
];

/// What keys are called, in the order of columns. Keys that are not here come last, by their names.
const COLUMNS: [(&str, &str); 56] = [
    ("way", "way"),
    ("to", "beside"),
    ("kind", "frames"),
    ("mode", "mode"),
    ("tunnel", "tunnel"),
    ("load", "load"),
    ("direction", "direction"),
    ("sessions", "sessions"),
    ("tunnels", "tunnels"),
    ("carrying", "of them under load"),
    ("length", "bytes"),
    ("load_frames_s", "other frames/s"),
    ("direct", "veth"),
    ("through", "through the tunnel"),
    ("unit", "unit"),
    ("of_direct", "of the veth"),
    ("of_base", "of base"),
    ("left_us", "CPU left, µs"),
    ("right_us", "CPU right, µs"),
    ("tcp_gbit_s", "TCP, 1 stream, Gbit/s"),
    ("tcp4_gbit_s", "4 streams, Gbit/s"),
    ("tcp", "TCP, 1 stream"),
    ("tcp4", "4 streams"),
    ("frames", "200-byte frames"),
    ("frames64", "64-byte frames"),
    ("seconds", "seconds to set them up"),
    ("per_second", "sessions a second"),
    ("frames_s", "frames/s"),
    ("frames64_s", "64-byte frames/s"),
    ("cpu_us", "CPU each, µs"),
    ("busy", "share of its core"),
    ("down_us", "CPU to UDP, µs each"),
    ("up_us", "CPU from UDP, µs each"),
    ("resident_bytes", "memory, bytes"),
    ("bytes", "memory each, bytes"),
    ("idle_percent", "CPU at rest, % of a core"),
    ("idle_seconds", "watched for, s"),
    ("ol2tp_frames_s", "ol2tp, frames/s"),
    ("ol2tp_cpu_us", "CPU each, µs"),
    ("l2tpns_frames_s", "l2tpns, frames/s"),
    ("l2tpns_cpu_us", "CPU each, µs"),
    ("times_l2tpns", "times l2tpns"),
    ("bare_frames_s", "a bare TUN, frames/s"),
    ("of_bare", "of it"),
    ("direct_us", "veth, µs, median / p99"),
    ("tunnel_us", "tunnel, µs, median / p99"),
    ("end_us", "each end adds, µs, median / p99"),
    ("fast_us", "fast path, µs, median / p99"),
    ("fast_end_us", "each end adds, µs, median / p99"),
    ("receive_ns", "receive, ns"),
    ("sequenced_ns", "receive with sequence numbers and reordering, ns"),
    ("transmit_ns", "transmit, ns"),
    ("pinned", "a core for each side"),
    ("rows", ""),
    ("ratios", ""),
    ("kernel", "kernel"),
];

/// Puts `tables` between the two comments of a page. `None`: it has none.
pub(super) fn replace(page: &str, tables: &str) -> Option<String> {
    let (head, rest) = page.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some([head, BEGIN, "\n", tables, END, tail].concat())
}

/// The tables of results, each with what it was measured by, and how.
pub(super) fn tables(results: &[(String, Map<String, Value>)]) -> String {
    let mut text = String::new();
    for (name, result) in results {
        let [command, date, machine, kernel] =
            ["command", "date", "machine", "kernel"].map(|key| result.get(key).map(cell).unwrap_or_default());
        let part = PARTS.iter().find(|(part, ..)| part == name);
        let (title, method) = part.map_or((&**name, ""), |(_, title, method)| (title, method));
        text += &format!("### {title}\n\n{method}\n\n`{command}`, {date}; {machine}, {kernel}:\n\n");
        if let Some(report) = result.get("report") {
            put(report, &mut text);
        }
    }
    text
}

/// A table for each list of objects, and one of names and values for what else an object has.
fn put(value: &Value, text: &mut String) {
    let Value::Object(object) = value else { return };
    let is_part = |value: &Value| {
        value.is_object() || value.as_array().is_some_and(|list| list.iter().any(Value::is_object))
    };
    let (parts, values): (Vec<_>, Vec<_>) =
        ordered(object).into_iter().partition(|key| is_part(&object[*key]));
    for part in parts {
        match &object[part] {
            Value::Array(rows) => rows_of(rows, text),
            part => put(part, text),
        }
    }
    if !values.is_empty() {
        row(text, ["".into(), "".into()]);
        rule(text, 2);
        values.iter().for_each(|key| row(text, [heading(key).into(), cell(&object[*key])]));
        text.push('\n');
    }
}

fn rows_of(rows: &[Value], text: &mut String) {
    let Some(Value::Object(first)) = rows.first() else { return };
    let keys = ordered(first);
    row(text, keys.iter().map(|key| heading(key).into()));
    rule(text, keys.len());
    for object in rows {
        row(text, keys.iter().map(|key| cell(&object[*key])));
    }
    text.push('\n');
}

/// Keys as columns come.
fn ordered(object: &Map<String, Value>) -> Vec<&str> {
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_by_key(|key| COLUMNS.iter().position(|(name, _)| name == key).unwrap_or(COLUMNS.len()));
    keys
}

fn heading(key: &str) -> &str {
    COLUMNS.iter().find(|(name, _)| *name == key).map_or(key, |(_, heading)| heading)
}

pub(super) fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    *text += "|";
    cells.into_iter().for_each(|cell| *text += &format!(" {cell} |"));
    text.push('\n');
}

pub(super) fn rule(text: &mut String, columns: usize) {
    *text += &format!("|{}\n", "---|".repeat(columns));
}

/// Three numbers are a median and a range.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Bool(value) => if *value { "yes" } else { "no" }.into(),
        Value::Array(list) => match &list.iter().map(cell).collect::<Vec<_>>()[..] {
            [median, least, most] => format!("{median} ({least} to {most})"),
            list => list.join(" / "),
        },
        Value::Number(number) => match number.as_f64() {
            Some(number) if number.fract() == 0.0 || number.abs() >= 1000.0 => grouped(number.round() as i64),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// `1,234,567`
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_tables() {
        let result = r#"{"command": "c", "date": "d", "machine": "m", "kernel": "k", "report": {"frames": {
            "pinned": true, "rows": [
                {"busy": 2.5, "cpu_us": [1, 20000.25], "of_bare": [0.5, 0.25, 1.5], "way": "x", "a": 1},
                {"busy": 0.5, "cpu_us": [1.0], "of_bare": null, "way": "y", "a": 1234567}]}}}"#;
        let results = [("frames".to_owned(), serde_json::from_str(result).expect("JSON"))];
        let tables = tables(&results);
        assert!(
            tables.starts_with("### Frames through a server on one core\n\nMedians of rounds. "),
            "{tables}"
        );
        assert!(
            tables.ends_with(
                "\n\n`c`, d; m, k:\n\n\
                 | way | CPU each, µs | share of its core | of it | a |\n|---|---|---|---|---|\n\
                 | x | 1 / 20,000 | 2.5 | 0.5 (0.25 to 1.5) | 1 |\n\
                 | y | 1 | 0.5 | – | 1,234,567 |\n\n\
                 |  |  |\n|---|---|\n| a core for each side | yes |\n\n"
            ),
            "{tables}"
        );
        let page = format!("head\n{BEGIN}old\n{END}tail\n");
        assert_eq!(replace(&page, "new\n"), Some(format!("head\n{BEGIN}\nnew\n{END}tail\n")));
        assert_eq!(replace("head\n", "new\n"), None);
    }

    #[test]
    fn numbers_are_grouped() {
        let numbers = [0, 999, 1000, -1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "-1,234,567"]);
    }
}
