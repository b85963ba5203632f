//! Router solicitations and advertisements, and what a host makes of them.

use std::net::Ipv6Addr;
use std::time::Duration;

use l2tp_data::time::Instant;
use ol2tpd::advert::host::{ADDRESSES, Lifetimes};
use ol2tpd::advert::message::is_solicitation;
use ol2tpd::advert::{Advertisement, Host};

use super::input::Input;

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 1, 2, 3, 4);
/// The longest that is received.
const LONGEST: usize = 1500;

/// A host hears advertisements, and has no more addresses than it may, only such as a host can have, and for no
/// longer than they are good.
///
/// Steps: a byte that says how many minutes pass and whether the network of new addresses is another's; an
/// advertisement's options behind their length, in units of eight bytes.
pub fn advert(data: &[u8]) {
    let mut input = Input(data);
    let mut now = Instant::from_micros(1);
    let mut host = Host::new(now, LINK_LOCAL);
    while let (Some(step), Some(units)) = (input.u8(), input.u8()) {
        let then = now + Duration::from_secs(u64::from(step >> 1) * 60);
        while let Some(due) = host.poll_timeout().filter(|due| *due <= then) {
            host.handle_timeout(due, || Ok(()));
            assert!(host.poll_timeout().is_none_or(|next| next > due));
        }
        now = then;
        let options = input.bytes((usize::from(units) * 8).min(LONGEST - 16));
        let bytes = [&[134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], options].concat();
        // A solicitation has the same options behind half of that.
        let _ = is_solicitation(&[&[133, 0], &bytes[10..]].concat(), ROUTER, 255);
        let Some(advertisement) = Advertisement::parse(&bytes, ROUTER, 255) else { continue };
        let again = Advertisement::parse(&advertisement.build(), ROUTER, 255);
        assert_eq!(again.map(|again| again.prefixes), Some(advertisement.prefixes.clone()));
        host.hears(now);
        for told in host.take(now, &advertisement.prefixes, |_| step & 1 == 0) {
            let Lifetimes { address, valid, preferred } = told;
            assert!(valid > 0 && preferred <= valid, "{told:?}");
            assert_eq!(address.to_bits() as u64, LINK_LOCAL.to_bits() as u64, "{told:?}");
            let good =
                !address.is_unicast_link_local() && !address.is_multicast() && address.to_bits() >> 64 != 0;
            assert!(good, "{told:?}");
            assert!(host.addresses().any(|known| known == address), "{told:?}");
        }
        assert!(host.addresses().count() <= ADDRESSES);
    }
}
