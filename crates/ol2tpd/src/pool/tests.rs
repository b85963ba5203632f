use proptest::prelude::*;

use super::*;

fn range(text: &str) -> RangeInclusive<u64> {
    let range: crate::config::Range = text.parse().unwrap();
    range.first().index()..=range.last().index()
}

/// One pool, `p`, of these ranges.
fn pool(ranges: &[&str], reserved: &[[u8; 4]]) -> AddressPools<Ipv4Addr> {
    let mut pools = AddressPools::default();
    reload(&mut pools, ranges, reserved);
    pools
}

fn reload(pools: &mut AddressPools<Ipv4Addr>, ranges: &[&str], reserved: &[[u8; 4]]) {
    let ranges = ranges.iter().map(|text| range(text)).collect();
    let reserved = reserved.iter().map(|octets| Ipv4Addr::from(*octets).index()).collect();
    pools.reload([("p", ranges)].into_iter(), reserved);
}

/// The last octet of what the user gets.
fn take(pools: &mut AddressPools<Ipv4Addr>, user: &str) -> Lease<Ipv4Addr> {
    pools.take("p", user.as_bytes()).unwrap()
}

fn last(lease: &Lease<Ipv4Addr>) -> u8 {
    lease.address().octets()[3]
}

#[test]
fn ranges_are_gone_through_in_order_without_the_edges_of_prefixes() {
    let mut pools = pool(&["10.0.0.0/30", "10.0.0.9-10.0.0.10", "10.0.0.20/31", "10.0.0.30"], &[]);
    let taken: Vec<_> = (0..7).map(|_| last(&take(&mut pools, ""))).collect();
    assert_eq!(taken, [1, 2, 9, 10, 20, 21, 30]);
    let error = pools.take("p", b"").unwrap_err();
    assert_eq!(error.to_string(), "pool `p` is exhausted: all of its 7 are in use; make it larger");
    assert_eq!(pools.usage().collect::<Vec<_>>(), [("p", 7, 7)]);
}

#[test]
fn a_pool_that_is_not_there() {
    let error = pool(&[], &[]).take("q", b"").unwrap_err();
    assert_eq!(error.to_string(), "there is no pool `q`; define it, or give the account another one");
}

#[test]
fn a_user_gets_his_last_address_back_while_it_is_free() {
    let mut pools = pool(&["10.0.0.1-10.0.0.3"], &[]);
    let (a, b) = (take(&mut pools, "a"), take(&mut pools, "b"));
    pools.give(a);
    pools.give(b);
    assert_eq!(last(&take(&mut pools, "b")), 2);
    assert_eq!(last(&take(&mut pools, "c")), 3, "fresh ones go first");
    let a = take(&mut pools, "a");
    assert_eq!(last(&a), 1);
    pools.give(a);
    assert_eq!(last(&take(&mut pools, "d")), 1, "the last one there is");
    assert!(pools.take("p", b"a").is_err());
}

#[test]
fn when_none_is_fresh_the_one_goes_that_is_free_for_the_longest_time() {
    let mut pools = pool(&["10.0.0.1-10.0.0.3"], &[]);
    let [a, b, c] = ["a", "b", "c"].map(|user| take(&mut pools, user));
    [b, c, a].into_iter().for_each(|lease| pools.give(lease));
    assert_eq!(["x", "y", "z"].map(|user| last(&take(&mut pools, user))), [2, 3, 1]);
}

#[test]
fn nobody_in_particular_has_no_last_address() {
    let mut pools = pool(&["10.0.0.1-10.0.0.3"], &[]);
    let lease = take(&mut pools, "");
    pools.give(lease);
    assert_eq!(last(&take(&mut pools, "")), 2);
}

#[test]
fn reserved_addresses_are_only_given_by_name() {
    let mut pools = pool(&["10.0.0.1-10.0.0.3"], &[[10, 0, 0, 2], [10, 9, 9, 9]]);
    assert_eq!(pools.usage().collect::<Vec<_>>(), [("p", 0, 2)]);
    assert_eq!([last(&take(&mut pools, "a")), last(&take(&mut pools, "b"))], [1, 3]);
    assert!(pools.take("p", b"c").is_err());
    for fixed in [[10, 0, 0, 2], [10, 9, 9, 9], [192, 0, 2, 1]] {
        let lease = pools.take_fixed(fixed.into()).unwrap();
        let error = pools.take_fixed(fixed.into()).unwrap_err();
        let address = Ipv4Addr::from(fixed);
        assert_eq!(
            error.to_string(),
            format!("{address} is fixed, and another session has it; end that one first")
        );
        pools.give(lease);
        assert!(pools.take("p", b"c").is_err(), "it is still reserved");
        assert!(pools.take_fixed(fixed.into()).is_ok());
    }
}

#[test]
fn a_fixed_address_may_come_out_of_what_is_free() {
    let mut pools = pool(&["10.0.0.1-10.0.0.2"], &[]);
    let lease = take(&mut pools, "a");
    pools.give(lease);
    let fixed = pools.take_fixed([10, 0, 0, 1].into()).unwrap();
    assert_eq!(last(&take(&mut pools, "a")), 2);
    assert!(pools.take("p", b"b").is_err());
    pools.give(fixed);
    assert_eq!(last(&take(&mut pools, "b")), 1);
    assert!(pools.take_fixed([10, 0, 0, 1].into()).is_err());
}

#[test]
fn what_is_taken_remains_so_when_pools_change() {
    let mut pools = pool(&["10.0.0.1-10.0.0.3"], &[]);
    let [a, b, c] = ["a", "b", "c"].map(|user| take(&mut pools, user));
    pools.give(b);
    reload(&mut pools, &["10.0.0.2-10.0.0.4"], &[[10, 0, 0, 3]]);
    assert_eq!(pools.usage().collect::<Vec<_>>(), [("p", 0, 2)]);
    assert_eq!(last(&take(&mut pools, "b")), 2, "still the last one of his");
    assert_eq!(last(&take(&mut pools, "d")), 4);
    assert!(pools.take_fixed([10, 0, 0, 3].into()).is_err(), "another session has it");
    pools.give(a);
    pools.give(c);
    assert!(pools.take("p", b"e").is_err(), "one is in no pool now, the other one reserved");
    assert!(pools.take_fixed([10, 0, 0, 3].into()).is_ok());
}

#[test]
fn what_is_reserved_no_more_is_free() {
    let mut pools = pool(&["10.0.0.1-10.0.0.3"], &[[10, 0, 0, 1], [10, 0, 0, 2], [10, 9, 9, 9]]);
    assert_eq!(last(&take(&mut pools, "a")), 3);
    reload(&mut pools, &["10.0.0.1-10.0.0.3"], &[[10, 0, 0, 2]]);
    assert_eq!(last(&take(&mut pools, "b")), 1);
    assert!(pools.take("p", b"c").is_err());
    assert_eq!(pools.usage().collect::<Vec<_>>(), [("p", 2, 2)]);
}

#[test]
fn networks_of_64_bits() {
    let mut pools = AddressPools::<Ipv6Addr>::default();
    let prefixes = ["2001:db8::/63", "2001:db8:1::/64", "ffff:ffff:ffff:ffff::/64"];
    let ranges = prefixes.iter().map(|prefix| networks(prefix.parse().unwrap())).collect();
    pools.reload([("p", ranges)].into_iter(), BTreeSet::new());
    let taken: Vec<_> = (0..4).map(|_| pools.take("p", b"").unwrap().address().to_string()).collect();
    assert_eq!(taken, ["2001:db8::", "2001:db8:0:1::", "2001:db8:1::", "ffff:ffff:ffff:ffff::"]);
    assert!(pools.take("p", b"").is_err());
}

#[test]
fn the_pools_of_settings() {
    let file = "[peer.a]\nlocal-address = '10.0.0.1'\npool = 'x'\nipv6-pool = 'y'\n[pool.x]\nranges = ['10.0.0.0/29']\n\
        [ipv6-pool.y]\nprefix = '2001:db8::/62'\n[[user]]\nname = 'u'\npassword = 'p'\naddress = '10.0.0.3'\nipv6-prefix = '2001:db8::/64'\n";
    let loaded = Settings::parse(std::path::Path::new("f"), file).unwrap();
    let mut pools = Pools::new(&loaded.settings);
    let taken: Vec<_> = (0..4).map(|_| last(&pools.ipv4.take("x", b"").unwrap())).collect();
    assert_eq!(taken, [2, 4, 5, 6], "without ours and the user's");
    assert_eq!(pools.ipv6.take("y", b"").unwrap().address().to_string(), "2001:db8:0:1::");
    assert_eq!(pools.ipv6.usage().collect::<Vec<_>>(), [("y", 1, 3)]);
}

/// A pool of sixteen million addresses takes memory for those that were taken only.
#[test]
fn a_large_pool_is_empty() {
    let mut pools = pool(&["10.0.0.0/8"], &[]);
    let leases: Vec<_> = (0..1000).map(|user: u32| pools.take("p", &user.to_be_bytes()).unwrap()).collect();
    leases.into_iter().for_each(|lease| pools.give(lease));
    assert_eq!((pools.slots.len(), pools.users.len(), pools.pools[0].free.len()), (1000, 1000, 1000));
    for _ in 0..10_000 {
        let lease = take(&mut pools, "one who comes and goes");
        pools.give(lease);
    }
    assert_eq!((pools.slots.len(), pools.users.len(), pools.pools[0].free.len()), (1001, 1001, 1001));
}

#[test]
fn a_large_pool_is_not_remembered_whole() {
    let mut pools = pool(&["10.0.0.0/8"], &[]);
    for user in 0..2 * REMEMBERED as u32 {
        let lease = pools.take("p", &user.to_be_bytes()).unwrap();
        pools.give(lease);
    }
    assert_eq!((pools.slots.len(), pools.users.len()), (REMEMBERED, REMEMBERED));
    // Those who came last have theirs still.
    let last = (2 * REMEMBERED as u32 - 1).to_be_bytes();
    let first = pools.take("p", &last).unwrap().address();
    assert_eq!(pools.users.get(&last[..]).copied(), Some(u64::from(first.to_bits())));
    assert_eq!(pools.slots.len(), REMEMBERED);
}

/// What may be done to pools `a` and `b`.
#[derive(Clone, Debug)]
enum Step {
    Take {
        pool: bool,
        user: u8,
    },
    Fixed(u8),
    /// Which of those that are taken.
    Give(usize),
    /// The ranges of both pools, and what is reserved.
    Reload([(u8, u8); 2], Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let ranges = (1..6u8, 0..5u8, 10..16u8, 0..6u8).prop_map(|(a, n, b, m)| [(a, a + n), (b, b + m)]);
    prop_oneof![
        6 => (any::<bool>(), 0..6u8).prop_map(|(pool, user)| Step::Take { pool, user }),
        1 => (0..24u8).prop_map(Step::Fixed),
        6 => any::<usize>().prop_map(Step::Give),
        1 => (ranges, prop::collection::vec(0..24u8, 0..4)).prop_map(|(ranges, reserved)| Step::Reload(ranges, reserved)),
    ]
}

/// The same, slow and obvious: lists that are searched.
#[derive(Default)]
struct Model {
    ranges: [(u8, u8); 2],
    reserved: Vec<u8>,
    taken: Vec<u8>,
    /// Whom each address was given to last; users without a name are nobody.
    had: BTreeMap<u8, u8>,
    /// The last address of each user.
    last: BTreeMap<u8, u8>,
}

impl Model {
    /// What of a pool is free.
    fn free(&self, pool: usize) -> Vec<u8> {
        let (first, last) = self.ranges[pool];
        (first..=last).filter(|at| !self.taken.contains(at) && !self.reserved.contains(at)).collect()
    }

    /// The address that the user has to get, if it is a certain one.
    fn wanted(&self, pool: usize, user: u8) -> Option<u8> {
        let last = *self.last.get(&user)?;
        (user != 0 && self.had.get(&last) == Some(&user) && self.free(pool).contains(&last)).then_some(last)
    }

    fn hand_out(&mut self, at: u8, user: u8) {
        self.taken.push(at);
        self.had.insert(at, user);
        self.last.insert(user, at);
    }
}

proptest! {
    /// No address is ever taken twice, none is lost, each is out of its pool and not reserved, and a
    /// user gets his last one back while it is free.
    #[test]
    fn pools_do_as_the_model(steps in prop::collection::vec(step(), 0..200)) {
        let mut pools = AddressPools::<Ipv4Addr>::default();
        let mut model = Model::default();
        let mut leases: Vec<Lease<Ipv4Addr>> = Vec::new();
        let set = |pools: &mut AddressPools<Ipv4Addr>, model: &Model| {
            let range = |(first, last): (u8, u8)| vec![first.into()..=last.into()];
            let ranges = [("a", range(model.ranges[0])), ("b", range(model.ranges[1]))];
            pools.reload(ranges.into_iter(), model.reserved.iter().map(|at| (*at).into()).collect());
        };
        model.ranges = [(1, 4), (10, 13)];
        set(&mut pools, &model);
        for step in steps {
            match step {
                Step::Take { pool, user } => {
                    let (name, pool) = if pool { ("b", 1) } else { ("a", 0) };
                    let name_of_user = if user == 0 { vec![] } else { vec![user] };
                    let free = model.free(pool);
                    match pools.take(name, &name_of_user) {
                        Err(error) => prop_assert!(free.is_empty(), "{error}: {free:?}"),
                        Ok(lease) => {
                            let at = last(&lease);
                            prop_assert!(free.contains(&at), "{at} of {free:?}");
                            if let Some(wanted) = model.wanted(pool, user) {
                                prop_assert_eq!(at, wanted);
                            }
                            model.hand_out(at, user);
                            leases.push(lease);
                        }
                    }
                }
                Step::Fixed(at) => match pools.take_fixed(Ipv4Addr::from_index(at.into())) {
                    Err(_) => prop_assert!(model.taken.contains(&at)),
                    Ok(lease) => {
                        prop_assert!(!model.taken.contains(&at));
                        model.hand_out(at, 0);
                        leases.push(lease);
                    }
                },
                Step::Give(_) if leases.is_empty() => {}
                Step::Give(which) => {
                    let lease = leases.swap_remove(which % leases.len());
                    let at = last(&lease);
                    model.taken.retain(|taken| *taken != at);
                    let inside = model.ranges.iter().any(|(first, last)| (*first..=*last).contains(&at));
                    if !inside || model.reserved.contains(&at) {
                        model.had.remove(&at);
                    }
                    pools.give(lease);
                }
                Step::Reload(ranges, reserved) => {
                    (model.ranges, model.reserved) = (ranges, reserved);
                    let Model { ranges, reserved, taken, had, .. } = &mut model;
                    had.retain(|at, _| {
                        let inside = ranges.iter().any(|(first, last)| (*first..=*last).contains(at));
                        taken.contains(at) || inside && !reserved.contains(at)
                    });
                    set(&mut pools, &model);
                }
            }
            let usage: Vec<_> = pools.usage().map(|(_, taken, size)| size - taken).collect();
            prop_assert_eq!(usage, [0, 1].map(|pool| model.free(pool).len() as u64));
        }
    }
}
