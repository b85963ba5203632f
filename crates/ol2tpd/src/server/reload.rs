//! The configuration is read again: what is up stays up.

use tracing::{error, warn};

use super::{Reactor, control_config};
use crate::config::Settings;
use crate::notice::Notice;

impl Reactor<'_> {
    pub(super) fn load_again(&mut self) {
        if self.farewell.is_some() {
            return;
        }
        let Some(reload) = &mut self.reload else {
            warn!("SIGHUP: there is no configuration file to read again");
            return;
        };
        self.notify.reloading();
        let read = reload().and_then(|settings| fit(settings, self.driver.name()));
        let taken = read.and_then(|settings| match self.listen(&settings.listen) {
            Ok(()) => Ok(settings),
            Err(error) => Err(error.to_string()),
        });
        match taken {
            Ok(settings) => self.adopt(settings),
            Err(why) => error!("the configuration was not taken, the old one stays: {why}"),
        }
        self.notify.ready();
        self.tell_status();
    }

    /// New settings: what is up stays up, what comes follows them.
    fn adopt(&mut self, settings: Settings) {
        *self.endpoint.config_mut() = control_config(&settings, &*self.driver);
        self.pools.reload(&settings);
        self.aaa.reload(&settings);
        self.scripts.set(settings.hooks.clone());
        let has_ipv6 = |settings: &Settings| settings.serves_ipv6() || settings.dials_ipv6();
        if has_ipv6(&settings) && !has_ipv6(&self.settings) {
            warn!(
                "IPv6 is new in the configuration: its prefixes are announced, and those of servers heard, \
                 after the next start only"
            );
        }
        if settings.runs_programs() && !self.settings.runs_programs() {
            warn!("scripts or pppd are new in the configuration: until the next start they lack CAP_NET_RAW");
        }
        self.settings = settings;
        if let Err(error) = self.share_interfaces() {
            error!("the new configuration: {error}");
        }
        self.adopt_tunnels();
        self.adopt_dials();
        self.notice(Notice::Reloaded);
    }
}

/// Settings that this driver can do.
pub(super) fn fit(settings: Settings, driver: &str) -> Result<Settings, String> {
    let hindrance = if driver == "linux" { settings.not_for_linux() } else { settings.not_for_user() };
    match hindrance {
        Some(why) => Err(format!("{why}; this daemon runs on driver `{driver}`: start it anew")),
        None => Ok(settings),
    }
}
