//! The most telling figures of all results, for README.

use serde_json::{Map, Value};

use super::page::{cell, row, rule};

/// A line of the table: what one row of a result says.
struct Line {
    what: &'static str,
    /// The part, and where in its report the rows are, or the only one.
    part: &'static str,
    place: &'static str,
    /// What the row's keys have to be.
    pick: &'static [(&'static str, &'static str)],
    /// Keys of ours, and of what it is compared with, and what those figures are of.
    ours: &'static str,
    other: &'static str,
    unit: &'static str,
    /// What it is compared with, and the key of the ratio.
    beside: &'static str,
    times: &'static str,
}

const fn load(what: &'static str, pick: &'static [(&'static str, &'static str)], unit: &'static str) -> Line {
    Line {
        what,
        part: "loads",
        place: "/loads/rows",
        pick,
        ours: "through",
        other: "direct",
        unit,
        beside: "bare veth",
        times: "of_direct",
    }
}

const fn beside_l2tpns(what: &'static str, pick: &'static [(&'static str, &'static str)]) -> Line {
    Line {
        what,
        part: "l2tpns",
        place: "/l2tpns",
        pick,
        ours: "ol2tp_frames_s",
        other: "l2tpns_frames_s",
        unit: "frames/s",
        beside: "l2tpns",
        times: "times_l2tpns",
    }
}

const fn alone(what: &'static str, ours: &'static str, unit: &'static str) -> Line {
    Line { what, part: "sessions", place: "/setup", pick: &[], ours, other: "", unit, beside: "", times: "" }
}

const fn emulated(
    what: &'static str,
    part: &'static str,
    place: &'static str,
    pick: &'static [(&'static str, &'static str)],
    beside: &'static str,
) -> Line {
    Line { what, part, place, pick, ours: "", other: "", unit: "", beside, times: "tcp" }
}

const LINES: [Line; 17] = [
    load("TCP, 1 stream", &[("tunnel", "base"), ("load", "TCP, 1 stream"), ("direction", "there")], "Gbit/s"),
    load(
        "TCP, 4 streams",
        &[("tunnel", "base"), ("load", "TCP, 4 streams"), ("direction", "there")],
        "Gbit/s",
    ),
    load(
        "UDP, 200 bytes",
        &[("tunnel", "base"), ("load", "UDP, 200 bytes"), ("direction", "there")],
        "frames/s",
    ),
    Line {
        beside: "without",
        other: "",
        times: "of_base",
        ..load(
            "TCP with sequence numbers",
            &[("tunnel", "sequenced"), ("load", "TCP, 1 stream"), ("direction", "there")],
            "Gbit/s",
        )
    },
    beside_l2tpns(
        "64 bytes from UDP, apart",
        &[("way", "from UDP"), ("kind", "apart"), ("sessions", "1"), ("length", "64")],
    ),
    beside_l2tpns(
        "64 bytes from UDP, merged",
        &[("way", "from UDP"), ("kind", "merged"), ("sessions", "1"), ("length", "64")],
    ),
    beside_l2tpns(
        "64 bytes to UDP, apart",
        &[("way", "to UDP"), ("kind", "apart"), ("sessions", "1"), ("length", "64")],
    ),
    beside_l2tpns(
        "1400 bytes from UDP, apart",
        &[("way", "from UDP"), ("kind", "apart"), ("sessions", "1"), ("length", "1,400")],
    ),
    beside_l2tpns(
        "1400 bytes to UDP, apart",
        &[("way", "to UDP"), ("kind", "apart"), ("sessions", "1"), ("length", "1,400")],
    ),
    emulated(
        "TCP in QEMU",
        "kernel",
        "/drivers/ratios",
        &[("way", "user"), ("to", "linux")],
        "the kernel's own driver",
    ),
    emulated(
        "TCP in User-Mode Linux",
        "pty",
        "/pty/ratios",
        &[("way", "user"), ("to", "pty")],
        "xl2tpd's pty",
    ),
    Line {
        part: "latency",
        place: "/latency/rows",
        pick: &[("load_frames_s", "0"), ("direction", "there")],
        ..alone("each end adds, at rest: median / p99", "end_us", "µs")
    },
    alone("sessions set up", "per_second", "a second"),
    alone("CPU time for each", "cpu_us", "µs"),
    alone("memory for each", "bytes", "bytes"),
    alone("so many were there", "sessions", "sessions"),
    alone("they took, at rest", "idle_percent", "% of a core"),
];

/// The table, with where and when its figures were measured. What has no result has no line.
pub(super) fn table(results: &[(String, Map<String, Value>)]) -> String {
    let Some((_, newest)) = results.iter().max_by_key(|(_, result)| result["date"].to_string()) else {
        return String::new();
    };
    let [date, machine, kernel] = ["date", "machine", "kernel"].map(|key| cell(&newest[key]));
    let mut text = format!("{machine}, {kernel}; {date}:\n\n");
    row(&mut text, ["", "ol2tp", "beside it", "ratio (range)"].map(Into::into));
    rule(&mut text, 4);
    for line in LINES {
        let result = results.iter().find(|(part, _)| part == line.part);
        let Some(place) = result.and_then(|(_, result)| result["report"].pointer(line.place)) else {
            continue;
        };
        let rows = place.as_array().map_or(std::slice::from_ref(place), Vec::as_slice);
        let fits = |row: &&Value| line.pick.iter().all(|(key, value)| cell(&row[key]) == *value);
        let Some(found) = rows.iter().find(fits) else { continue };
        let amount = |key: &str| match key {
            "" => String::new(),
            _ => format!("{} {}", cell(&found[key]), line.unit),
        };
        let beside = [line.beside, &amount(line.other)].join(" ");
        let times = if line.times.is_empty() { String::new() } else { cell(&found[line.times]) };
        row(&mut text, [line.what.into(), amount(line.ours), beside.trim().into(), times]);
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_for_each_result_that_is_there() {
        let result = |report| match json!({"date": "d", "machine": "m", "kernel": "k", "report": report}) {
            Value::Object(result) => result,
            _ => unreachable!("it is one"),
        };
        let row = |length, ours, times: [f64; 3]| {
            json!({"way": "to UDP", "kind": "apart", "sessions": 1, "length": length,
                "ol2tp_frames_s": ours, "l2tpns_frames_s": 1000.0, "times_l2tpns": times})
        };
        let results = [
            ("l2tpns".into(), result(json!({"l2tpns": [row(64, 2000.0, [2.0, 1.5, 2.5])]}))),
            ("sessions".into(), result(json!({"setup": {"per_second": 9000, "idle_percent": 1.5}}))),
        ];
        let table = table(&results);
        for line in [
            "m, k; d:\n\n|  | ol2tp |",
            "| 64 bytes to UDP, apart | 2,000 frames/s | l2tpns 1,000 frames/s | 2 (1.5 to 2.5) |\n",
            "| sessions set up | 9,000 a second |  |  |\n",
        ] {
            assert!(table.contains(line), "{line}: {table}");
        }
        assert!(!table.contains("1400 bytes") && !table.contains("TCP"), "{table}");
    }
}
