//! `PLANDEX_LOCK_TOKEN`: the hold that a process runs below.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail};

/// How many hexadecimal digits the random part has: 128 bits.
const DIGITS: usize = 32;

/// Which ticket a process runs below, and the random number that proves it: what `plandex exec`
/// hands to its command. Printed as `TICKET-DIGITS`.
///
/// It is worth something only while that ticket is held and carries the same number.
#[derive(Clone, PartialEq, Eq)]
pub struct LockToken {
    ticket: i64,
    secret: String,
}

impl LockToken {
    /// The token of `ticket`, with `secret` as [`Self::secret_of`] gives it.
    pub fn new(ticket: i64, secret: &str) -> Self {
        let secret = secret.to_owned();
        Self { ticket, secret }
    }

    /// A random part from 128 random bits.
    pub fn secret_of(random: u128) -> String {
        format!("{random:032x}")
    }

    /// The ticket.
    pub fn ticket(&self) -> i64 {
        self.ticket
    }

    /// The random part: 32 hexadecimal digits.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Display for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ticket, self.secret)
    }
}

/// Without the random part: a token in a log would let its reader in.
impl fmt::Debug for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockToken({}-…)", self.ticket)
    }
}

impl FromStr for LockToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('-').and_then(|(ticket, secret)| {
            let is_number = !ticket.is_empty() && ticket.bytes().all(|b| b.is_ascii_digit());
            let ticket: i64 = ticket.parse().ok().filter(|id| is_number && *id > 0)?;
            let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            let is_secret = secret.len() == DIGITS && secret.bytes().all(is_hex);
            is_secret.then(|| Self::new(ticket, secret))
        });
        match parsed {
            Some(token) => Ok(token),
            None => bail!("it is not what `plandex exec` sets for its command; unset it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        for random in [0, 1, u128::MAX] {
            let token = LockToken::new(17, &LockToken::secret_of(random));
            let text = token.to_string();
            assert_eq!(text.len(), 3 + DIGITS);
            assert_eq!(text.parse::<LockToken>().unwrap(), token);
            assert!(!format!("{token:?}").contains(token.secret()));
        }
    }

    #[test]
    fn nothing_else_is() {
        let secret = "0123456789abcdef0123456789abcdef";
        for text in [
            "",
            "-",
            "17",
            "17-",
            "17-abc",
            "0-0123456789abcdef0123456789abcdef",
            "-1-0123456789abcdef0123456789abcdef",
            "+1-0123456789abcdef0123456789abcdef",
            "17-0123456789ABCDEF0123456789abcdef",
            "17-0123456789abcdef0123456789abcdef0",
            "17-0123456789abcdef0123456789abcde'",
            "99999999999999999999-0123456789abcdef0123456789abcdef",
        ] {
            assert!(text.parse::<LockToken>().is_err(), "{text}");
        }
        assert!(format!("17-{secret}").parse::<LockToken>().is_ok());
    }
}
