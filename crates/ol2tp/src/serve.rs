//! `ol2tp serve`: the server.

use ol2tpd::config::{ServeFlags, Settings};
use ol2tpd::server::{self, Options, Outcome, Reload};
use zeroize::Zeroizing;

use crate::args::ServeArgs;
use crate::daemon::{self, Started};
use crate::exit::{Code, Failure, Result};

/// Serves until a signal comes.
///
/// Errors: arguments or configuration make no sense, a permission or device is missing, or a socket
/// or interface cannot be made.
pub fn run(args: &ServeArgs) -> Result<()> {
    let settings = settings(args)?;
    let Started { driver, why, control, advertiser } = daemon::start(&args.end, &settings)?;
    let json = args.end.json;
    let options = Options { settings, reload: reload(args), why, advertiser, trace: args.trace };
    match server::run(driver, control, options, |notice| daemon::tell(notice, json))? {
        Outcome::Stopped => Ok(()),
        Outcome::Failed { failure, why } => Err(Failure::of(Code::from(failure), why)),
    }
}

fn settings(args: &ServeArgs) -> Result<Settings> {
    let secret = |text: &String| Zeroizing::new(text.clone());
    daemon::checked(match &args.config {
        Some(file) => Settings::load(file),
        None => Settings::serve(&ServeFlags {
            listen: args.listen.clone(),
            secret: args.secret.as_ref().map(secret),
            secret_file: args.secret_file.clone(),
            users: args.user.iter().map(secret).collect(),
            chap_secrets: args.chap_secrets.clone(),
            auth: args.auth.clone(),
            pool: args.pool.clone(),
            ipv6_pool: args.ipv6_pool.clone(),
            local_address: args.local_address.clone(),
            dns: args.dns.clone(),
            interface: args.interface.clone(),
            socket: args.end.socket.clone(),
        }),
    })
}

/// What SIGHUP does, if there is a file.
fn reload(args: &ServeArgs) -> Option<Reload> {
    let file = args.config.clone()?;
    Some(Box::new(move || daemon::checked(Settings::load(&file)).map_err(|failure| failure.to_string())))
}
