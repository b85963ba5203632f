//! Accounts of this machine.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ppp::{Secret, Verdict};

use super::{Aaa, Access, AccessRequest, Grant, Record, RecordKind, Reply};
use crate::config::{Settings, User};

/// The accounts of the settings. A name without an account is refused as a wrong password is: the same
/// work, the same answer.
#[derive(Debug)]
pub struct Local {
    users: HashMap<Box<[u8]>, Arc<User>>,
    /// The password of whoever has no account.
    nobody: Secret,
    /// The sessions that were let in, with their names.
    sessions: HashMap<u64, Box<[u8]>>,
    /// Those of each name; the lowest number is the oldest.
    of_name: HashMap<Box<[u8]>, BTreeSet<u64>>,
}

/// The name of an account for whoever has none of his own.
const ANYBODY: &[u8] = b"*";

impl Local {
    /// These accounts. The seed is random; nobody else knows it.
    pub fn new(users: &[Arc<User>], seed: [u8; 32]) -> Self {
        let (sessions, of_name) = (HashMap::new(), HashMap::new());
        Self { users: by_name(users), nobody: Secret::new(&seed), sessions, of_name }
    }

    fn access(&mut self, request: &AccessRequest) -> Access {
        let name = &request.request.name;
        let user = self.users.get(name).or_else(|| self.users.get(ANYBODY));
        let password = user.map_or(&self.nobody, |user| &user.password);
        let verdict = request.request.verify(password.octets());
        let grant = match (&verdict, user) {
            (Verdict::Accept { .. }, Some(user)) => user.grant.clone(),
            _ => return Access { verdict, grant: Grant::default(), replaces: None },
        };
        let of_name = self.of_name.entry(name.clone()).or_default();
        let most = grant.most_sessions().map_or(usize::MAX, |most| most as usize);
        // A session that proves itself again counts already.
        let full = !of_name.contains(&request.session) && of_name.len() >= most;
        if full && grant.refuse_more {
            return Access::refused("There are as many sessions of this user as there may be");
        }
        let replaces = if full { of_name.pop_first() } else { None };
        if let Some(old) = replaces {
            self.sessions.remove(&old);
        }
        of_name.insert(request.session);
        self.sessions.insert(request.session, name.clone());
        Access { verdict, grant, replaces }
    }
}

impl Aaa for Local {
    fn reload(&mut self, settings: &Settings) {
        self.users = by_name(&settings.users);
    }

    fn authenticate(&mut self, request: AccessRequest, reply: Reply) {
        reply.send(self.access(&request));
    }

    fn account(&mut self, record: Record) {
        if !matches!(record.kind, RecordKind::Stop { .. }) {
            return;
        }
        let Some(name) = self.sessions.remove(&record.session) else { return };
        if let Some(of_name) = self.of_name.get_mut(&name) {
            of_name.remove(&record.session);
            if of_name.is_empty() {
                self.of_name.remove(&name);
            }
        }
    }
}

fn by_name(users: &[Arc<User>]) -> HashMap<Box<[u8]>, Arc<User>> {
    users.iter().map(|user| (user.name.clone(), Arc::clone(user))).collect()
}

#[cfg(test)]
mod tests;
