//! The file of accounts that pppd reads, `chap-secrets`.
//!
//! ```text
//!  # client   server  secret         addresses
//!  alice      *       "open sesame"  10.0.0.7
//!  bob        lns     b\"b           +office       addresses out of pool `office`
//!  carol      *       c              *             addresses out of the profile's pool
//!  dave       *       d              -             no address: not an account of ours
//! ```
//!
//! Words end at white space or `#`; quotes of both kinds and a backslash take the meaning from what
//! would end one; a backslash before the end of a line joins it to the next. Of the lines for a client,
//! those that name our server go before those with `*`, and the first before the others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ppp::Secret;
use zeroize::Zeroizing;

use super::Grant;
use crate::config::User;

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct ChapSecrets {
    /// Accounts with us, each with its line, in the order of the lines; no name twice.
    pub(crate) users: Vec<(u32, User)>,
    /// What is wrong.
    pub(crate) faults: Vec<Fault>,
}

/// A line that makes no sense.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// From 1 on.
    pub(crate) line: u32,
    /// What is wrong, and what to do. Never a secret.
    pub(crate) message: String,
}

impl ChapSecrets {
    /// Reads the text for a server of this name.
    pub(crate) fn parse(text: &[u8], server: &[u8]) -> Self {
        let mut read = Self::default();
        let mut found: HashMap<Box<[u8]>, (bool, u32, User)> = HashMap::new();
        let mut words = Words { text, line: 1 };
        loop {
            let (line, entry) = match words.entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(fault) => {
                    read.faults.push(fault);
                    continue;
                }
            };
            if entry.get(1).is_some_and(|named| **named != *server && **named != *b"*") {
                continue;
            }
            match account(&entry) {
                Err(message) => read.faults.push(Fault { line, message }),
                Ok(None) => {}
                Ok(Some(user)) => {
                    let ours = *entry[1] == *server;
                    match found.entry(user.name.clone()) {
                        Entry::Vacant(place) => _ = place.insert((ours, line, user)),
                        Entry::Occupied(mut better) if ours && !better.get().0 => {
                            better.insert((ours, line, user));
                        }
                        Entry::Occupied(_) => {}
                    }
                }
            }
        }
        read.users = found.into_values().map(|(_, line, user)| (line, user)).collect();
        read.users.sort_by_key(|(line, _)| *line);
        read
    }
}

type Word = Zeroizing<Vec<u8>>;

/// The account of an entry; `None` if it is none of ours.
fn account(entry: &[Word]) -> Result<Option<User>, String> {
    let [name, _, secret, addresses @ ..] = entry else {
        return Err("client, server and secret are needed".into());
    };
    if secret.starts_with(b"@") {
        return Err("a secret in another file (`@file`) is not supported; write the secret itself here, or \
                    make the account a [[user]] with `password-file`"
            .into());
    }
    let mut grant = Grant::default();
    match addresses {
        [] => {}
        [one] => match &***one {
            b"*" => {}
            b"-" => return Ok(None),
            [b'+', pool @ ..] if !pool.is_empty() => {
                grant.pool = Some(String::from_utf8_lossy(pool).into_owned());
            }
            other => {
                let address = std::str::from_utf8(other).ok().and_then(|text| text.parse().ok());
                let message = || {
                    format!(
                        "`{}` is no address; write one IPv4 address, `*`, `-` or +POOL",
                        String::from_utf8_lossy(other)
                    )
                };
                grant.address = Some(address.ok_or_else(message)?);
            }
        },
        _ => return Err("there is more than one address; write one, or +POOL and a [pool.POOL]".into()),
    }
    Ok(Some(User { name: name.as_slice().into(), password: Secret::new(secret), grant }))
}

/// The longest name or secret that fits into a packet.
const MAX_WORD: usize = 255;

/// Splits a text into words as pppd does.
struct Words<'a> {
    text: &'a [u8],
    line: u32,
}

impl Words<'_> {
    /// The words of the next line that has some, with its number.
    fn entry(&mut self) -> Result<Option<(u32, Vec<Word>)>, Fault> {
        let (mut line, mut words) = (self.line, Vec::new());
        while let Some(&octet) = self.text.first() {
            match octet {
                b'\n' if words.is_empty() => _ = self.next(),
                b'\n' => break,
                b'#' => self.skip_line(),
                b'\\' if self.text.starts_with(b"\\\n") => {
                    self.next();
                    self.next();
                }
                _ if octet.is_ascii_whitespace() => _ = self.next(),
                _ => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(self.word()?);
                }
            }
        }
        Ok((!words.is_empty()).then_some((line, words)))
    }

    fn word(&mut self) -> Result<Word, Fault> {
        let line = self.line;
        let (mut word, mut quote) = (Zeroizing::new(Vec::with_capacity(MAX_WORD)), None);
        while let Some(&octet) = self.text.first() {
            let ends = octet.is_ascii_whitespace() || octet == b'#';
            if quote.is_none() && ends {
                break;
            }
            self.next();
            let octet = match octet {
                b'\\' => match self.escaped() {
                    Some(octet) => octet,
                    None => continue,
                },
                _ if quote == Some(octet) => {
                    quote = None;
                    continue;
                }
                b'"' | b'\'' if quote.is_none() => {
                    quote = Some(octet);
                    continue;
                }
                _ => octet,
            };
            if word.len() == MAX_WORD {
                self.skip_line();
                let message = format!("a word has more than {MAX_WORD} octets; is a quote not closed?");
                return Err(Fault { line, message });
            }
            word.push(octet);
        }
        match quote {
            None => Ok(word),
            Some(_) => Err(Fault { line, message: "a quote is not closed".into() }),
        }
    }

    /// What the octets behind a backslash stand for; `None`: nothing, the line goes on.
    fn escaped(&mut self) -> Option<u8> {
        let octet = self.next()?;
        Some(match octet {
            b'\n' => return None,
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b's' => b' ',
            b't' => b'\t',
            b'0'..=b'7' => self.digits(octet - b'0', 8, 2),
            b'x' => self.digits(0, 16, 2),
            _ => octet,
        })
    }

    /// The value of so many more digits at the most; what does not fit is cut off.
    fn digits(&mut self, first: u8, radix: u8, most: usize) -> u8 {
        let mut value = first;
        for _ in 0..most {
            let digit = self.text.first().and_then(|octet| char::from(*octet).to_digit(radix.into()));
            let Some(digit) = digit else { break };
            value = value.wrapping_mul(radix).wrapping_add(digit as u8);
            self.next();
        }
        value
    }

    fn skip_line(&mut self) {
        while self.text.first().is_some_and(|octet| *octet != b'\n') {
            self.next();
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.text.split_first()?;
        self.text = rest;
        self.line += u32::from(*first == b'\n');
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::Grant;

    /// Names, secrets and grants.
    fn users(text: &str) -> Vec<(String, String, Grant)> {
        let read = ChapSecrets::parse(text.as_bytes(), b"lns");
        assert_eq!(read.faults, []);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let users = read.users.into_iter();
        users.map(|(_, user)| (text(&user.name), text(user.password.octets()), user.grant)).collect()
    }

    /// The one secret in it.
    fn secret(text: &str) -> String {
        let [(name, secret, _)] = &users(text)[..] else { panic!("{text}") };
        assert_eq!(name, "a", "{text}");
        secret.clone()
    }

    fn faults(text: &str) -> Vec<(u32, String)> {
        let faults = ChapSecrets::parse(text.as_bytes(), b"lns").faults.into_iter();
        faults.map(|fault| (fault.line, fault.message)).collect()
    }

    #[test]
    fn words_end_at_white_space_and_comments() {
        for text in ["a * s", "\n\n  a\t*\t\ts  \r\n", "# x * y\na * s # more\n", "a * s#more", "a\\\n * s"] {
            assert_eq!(secret(text), "s", "{text:?}");
        }
        assert_eq!(users("").len(), 0);
        assert_eq!(users("# a * s").len(), 0);
    }

    #[test]
    fn quotes_and_escapes() {
        for (written, meant) in [
            (r#""two words""#, "two words"),
            (r"'two words'", "two words"),
            (r#"'a"b'"#, "a\"b"),
            (r#"a"b c"d"#, "ab cd"),
            (r##""#1""##, "#1"),
            (r"\#1", "#1"),
            (r"a\ b", "a b"),
            (r"a\sb", "a b"),
            (r#"a\"b"#, "a\"b"),
            (r#""a\"b""#, "a\"b"),
            (r"a\\b", r"a\b"),
            (r"\x41\x4a\101", "AJA"),
            (r"\t\n\r", "\t\n\r"),
            (r"\q", "q"),
            ("a\\\nb", "ab"),
            ("\"a\nb\"", "a\nb"),
            (r#""""#, ""),
        ] {
            assert_eq!(secret(&format!("a * {written} *")), meant, "{written}");
        }
    }

    #[test]
    fn the_server_column_has_to_fit_our_name() {
        assert_eq!(users("a lac 1\nb lns 2\nc * 3").len(), 2);
        assert_eq!(
            secret("a * 1\na lns 2\na lns 3"),
            "2",
            "our name goes before any, the first before others"
        );
        assert_eq!(secret("a lns 2\na * 1"), "2");
        assert_eq!(secret("a * 1\na * 2"), "1");
    }

    #[test]
    fn addresses() {
        let grant = |text: &str| users(&format!("a * s {text}"))[0].2.clone();
        assert_eq!(grant(""), Grant::default());
        assert_eq!(grant("*"), Grant::default());
        assert_eq!(grant("10.0.0.7").address, Some([10, 0, 0, 7].into()));
        assert_eq!(grant("+office").pool.as_deref(), Some("office"));
        assert_eq!(users("a * s -").len(), 0, "no account of ours");
    }

    #[test]
    fn any_client() {
        let [(name, _, _)] = &users("* * s *")[..] else { panic!() };
        assert_eq!(name, "*");
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_line_and_without_its_secret() {
        for (text, line, told) in [
            ("a * s\n\nb *", 3, "client, server and secret are needed"),
            ("b", 1, "client, server and secret are needed"),
            ("# x\na * @hush *", 2, "`@file`"),
            ("a * hush 10.0.0.0/24", 1, "`10.0.0.0/24` is no address"),
            ("a * hush fd00::1", 1, "`fd00::1` is no address"),
            ("a * hush +", 1, "`+` is no address"),
            ("a * hush 10.0.0.1 10.0.0.2", 1, "more than one address"),
            ("a * s\nb * \"hush", 2, "a quote is not closed"),
            (&format!("a * {}\nb", "hush".repeat(64)), 1, "more than 255 octets"),
        ] {
            let faults = faults(text);
            assert_eq!(faults[0].0, line, "{text}");
            assert!(faults[0].1.contains(told), "{text}: {faults:?}");
            assert!(!faults[0].1.contains("hush"), "{faults:?}");
        }
        assert_eq!(faults("a\nb\nc * s").len(), 2, "each is told");
    }

    #[test]
    fn a_line_for_another_server_is_none_of_our_business() {
        assert_eq!(faults("a other @file"), []);
    }

    proptest! {
        /// No word is longer than a packet holds, and nothing else happens.
        #[test]
        fn no_text_does_harm(text in prop::collection::vec(prop::sample::select(b"a*\"'\\#\n\t @+-07x\xff".to_vec()), 0..400)) {
            for (_, user) in ChapSecrets::parse(&text, b"a").users {
                prop_assert!(user.name.len() <= MAX_WORD && user.password.octets().len() <= MAX_WORD);
            }
        }
    }
}
