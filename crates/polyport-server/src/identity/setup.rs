//! The code that makes the first admin. It is shown at the terminal, so whoever has it is who started the gateway.

use parking_lot::Mutex;

use super::password;

/// After so many wrong codes there is none any more.
const TRIES: u32 = 10;

/// A code, as long as it is good.
#[derive(Debug)]
pub(crate) struct Setup(Mutex<Option<Code>>);

struct Code {
    text: String,
    wrong: u32,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("wrong", &self.wrong).finish_non_exhaustive()
    }
}

/// What a code is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It is the one.
    Right,
    /// It is not.
    Wrong,
    /// There is none, or none any more.
    None,
}

impl Setup {
    /// There is an admin already.
    pub(crate) fn closed() -> Self {
        Self(Mutex::new(None))
    }

    /// There is none: with a new code.
    pub(crate) fn open() -> Self {
        let letters = password::letters(12);
        let text: Vec<&str> = [letters.get(..4), letters.get(4..8), letters.get(8..)].into_iter().flatten().collect();
        Self(Mutex::new(Some(Code { text: text.join("-"), wrong: 0 })))
    }

    /// The code, to be shown at the terminal.
    pub(crate) fn code(&self) -> Option<String> {
        self.0.lock().as_ref().map(|code| code.text.clone())
    }

    /// Whether there is a code.
    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Compares a code in the same time, whatever it is. Ten wrong ones end it.
    pub(crate) fn tries(&self, given: &str) -> Tried {
        let mut held = self.0.lock();
        let Some(code) = held.as_mut() else { return Tried::None };
        let plain = |text: &str| blake3::hash(text.trim().to_lowercase().replace(['-', ' '], "").as_bytes());
        // Digests are compared without stopping at the first difference.
        if plain(given) == plain(&code.text) {
            return Tried::Right;
        }
        code.wrong += 1;
        if code.wrong >= TRIES {
            *held = None;
            tracing::warn!(
                "the code for the first admin was guessed at too often and is not good any more; start again"
            );
        }
        Tried::Wrong
    }

    /// There is an admin now.
    pub(crate) fn close(&self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a9_a_code_dies_after_ten_wrong_ones() {
        let setup = Setup::open();
        let code = setup.code().unwrap();
        assert_eq!(code.len(), 14, "{code}");
        assert_eq!(setup.tries(&code.to_uppercase().replace('-', " ")), Tried::Right);
        for _ in 0..10 {
            assert_eq!(setup.tries("aaaa-aaaa-aaaa"), Tried::Wrong);
        }
        assert_eq!(setup.tries(&code), Tried::None);
        assert!(!setup.is_open() && setup.code().is_none());
        assert!(!format!("{:?}", Setup::open()).contains('-'));
    }
}
