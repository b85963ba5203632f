//! Accounts of this machine.

use std::collections::HashMap;
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
    /// How many there are of each name.
    counts: HashMap<Box<[u8]>, u32>,
}

/// The name of an account for whoever has none of his own.
const ANYBODY: &[u8] = b"*";

impl Local {
    /// These accounts. The seed is random; nobody else knows it.
    pub fn new(users: &[Arc<User>], seed: [u8; 32]) -> Self {
        let (sessions, counts) = (HashMap::new(), HashMap::new());
        Self { users: by_name(users), nobody: Secret::new(&seed), sessions, counts }
    }

    fn access(&mut self, request: &AccessRequest) -> Access {
        let name = &request.request.name;
        let user = self.users.get(name).or_else(|| self.users.get(ANYBODY));
        let password = user.map_or(&self.nobody, |user| &user.password);
        let verdict = request.request.verify(password.octets());
        let grant = match (&verdict, user) {
            (Verdict::Accept { .. }, Some(user)) => user.grant.clone(),
            _ => return Access { verdict, grant: Grant::default() },
        };
        // A session that proves itself again counts already.
        if !self.sessions.contains_key(&request.session) {
            let count = self.counts.entry(name.clone()).or_default();
            if grant.max_sessions.is_some_and(|most| *count >= most) {
                return Access::refused("There are as many sessions of this user as there may be");
            }
            *count += 1;
            self.sessions.insert(request.session, name.clone());
        }
        Access { verdict, grant }
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
        if let Some(count) = self.counts.get_mut(&name) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&name);
            }
        }
    }
}

fn by_name(users: &[Arc<User>]) -> HashMap<Box<[u8]>, Arc<User>> {
    users.iter().map(|user| (user.name.clone(), Arc::clone(user))).collect()
}

#[cfg(test)]
mod tests;
