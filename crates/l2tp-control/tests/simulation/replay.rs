//! What was recorded is replayed: the same datagrams and events at the same times.

use l2tp_control::record::{Replay, Secrets, Step, What};
use l2tp_control::{Event, Path};

use crate::world::Host;
use crate::{LAC, LNS, PASSWORD, SECRET, run};

fn hosts(seed: u64, secrets: Secrets) -> Vec<Host> {
    core::mem::take(&mut run(seed, &[LNS, LAC], 20, false, secrets).0.hosts)
}

fn steps(record: &[u8]) -> Vec<Step> {
    Replay::new(record).map(|step| step.expect("what is written can be read")).collect()
}

/// What was sent and told, in a replay.
type Output = (Vec<(u64, Path, Vec<u8>)>, Vec<(u64, Event)>);

fn output(steps: &[Step]) -> Output {
    let sent = steps.iter().filter_map(|step| match &step.what {
        What::Sent { path, bytes, .. } => Some((step.at.as_micros(), *path, bytes.clone())),
        _ => None,
    });
    let told = steps.iter().filter_map(|step| match &step.what {
        What::Event { event, .. } => Some((step.at.as_micros(), event.clone())),
        _ => None,
    });
    (sent.collect(), told.collect())
}

fn contains(text: &str, octets: &[u8]) -> bool {
    let plain = String::from_utf8_lossy(octets);
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let list: Vec<_> = octets.iter().map(u8::to_string).collect();
    text.contains(&*plain) || text.contains(&hex) || text.contains(&list.join(","))
}

#[test]
fn a_replay_is_what_was() {
    let mut passwords = 0;
    for host in (4000..4030).flat_map(|seed| hosts(seed, Secrets::Keep)) {
        let (sent, told) = (host.sent, host.told);
        let record = host.endpoint.finish().expect("a Vec takes it");
        let steps = steps(&record);
        assert!(output(&steps) == (sent, told));
        let errors = steps.iter().filter(|step| matches!(step.what, What::Command { error: Some(_), .. }));
        assert!(errors.count() % 3 == 0, "each misuse is three");
        passwords += usize::from(contains(&String::from_utf8(record).expect("JSON"), PASSWORD));
        for step in steps {
            let (words, json) = (step.to_string(), serde_json::to_string(&step).expect("it is plain data"));
            for secret in [SECRET, PASSWORD] {
                assert!(!contains(&words, secret) && !contains(&json, secret), "{words}");
            }
        }
    }
    assert!(passwords > 5, "{passwords} records have one");
}

#[test]
fn what_is_left_out_is_not_in_the_record() {
    let mut same = 0;
    for (host, with) in (4000..4030).flat_map(|seed| {
        let hosts_with = hosts(seed, Secrets::Keep);
        hosts(seed, Secrets::LeaveOut).into_iter().zip(hosts_with)
    }) {
        let record = host.endpoint.finish().expect("a Vec takes it");
        let text = core::str::from_utf8(&record).expect("JSON");
        assert!(!contains(text, SECRET) && !contains(text, PASSWORD));
        // Without authentication, nothing of it is missed.
        let with = with.endpoint.finish().expect("a Vec takes it");
        if !contains(core::str::from_utf8(&with).expect("JSON"), SECRET) {
            same += 1;
            let words = |record| Vec::from_iter(steps(record).iter().skip(1).map(Step::to_string));
            assert!(words(&record) == words(&with));
        }
    }
    assert!(same > 5);
}
