//! Values that only the master key opens, and only in the place they were sealed for.
//!
//! A sealed value is `version (1) | key id (8) | nonce (24) | AES-256-GCM ciphertext and tag`. The first half of the nonce and the master key
//! give the key of this one value, the second half is the cipher's nonce: any number of values can be sealed without two sharing both.
//! Table, row and column are authenticated with it, so a value moved elsewhere does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::key::{KeyId, MasterKey};

const VERSION: u8 = 1;
const NONCE_AT: usize = 9;
const BODY_AT: usize = 33;

/// Where a sealed value stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'a str,
    pub(crate) column: &'a str,
    pub(crate) row: &'a str,
}

/// Why a value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locked {
    /// It was sealed under this key.
    OtherKey(KeyId),
    /// It was changed, moved, or written by a newer version.
    Damaged,
}

/// Seals a value for its place.
pub(crate) fn seal(key: &MasterKey, place: Place<'_>, plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; 24];
    rand::fill(&mut nonce[..]);
    let mut sealed = Vec::with_capacity(BODY_AT + plain.len() + AES_256_GCM.tag_len());
    sealed.push(VERSION);
    sealed.extend(key.id().0);
    sealed.extend(nonce);
    let mut body = Zeroizing::new(plain.to_vec());
    let (cipher, nonce) = cipher(key, &nonce);
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(place.bytes()), &mut body[..]);
    let tag = tag.expect("AES-256-GCM seals anything below 64 GiB");
    sealed.extend_from_slice(&body);
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// Opens a sealed value of this place.
pub(crate) fn open(key: &MasterKey, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Locked> {
    let id = key_id(sealed).ok_or(Locked::Damaged)?;
    if id != key.id() {
        return Err(Locked::OtherKey(id));
    }
    let (Some(nonce), Some(body)) = (sealed.get(NONCE_AT..BODY_AT), sealed.get(BODY_AT..)) else {
        return Err(Locked::Damaged);
    };
    let (cipher, nonce) = cipher(key, nonce.try_into().map_err(|_| Locked::Damaged)?);
    let mut plain = Zeroizing::new(body.to_vec());
    let opened = cipher.open_in_place(nonce, Aad::from(place.bytes()), &mut plain);
    let length = opened.map_err(|_| Locked::Damaged)?.len();
    plain.truncate(length);
    Ok(plain)
}

/// The key a value was sealed under, if it is a value of this version.
pub(crate) fn key_id(sealed: &[u8]) -> Option<KeyId> {
    match sealed.split_first() {
        Some((&VERSION, rest)) => rest.first_chunk().copied().map(KeyId),
        _ => None,
    }
}

fn cipher(key: &MasterKey, nonce: &[u8; 24]) -> (LessSafeKey, Nonce) {
    let (salt, nonce) = nonce.split_at(12);
    let root = key.derive("polyport store: keys of sealed values");
    let own = Zeroizing::new(*blake3::keyed_hash(&root, salt).as_bytes());
    let own = UnboundKey::new(&AES_256_GCM, &own[..]).expect("the key has 32 bytes");
    (LessSafeKey::new(own), Nonce::try_assume_unique_for_key(nonce).expect("the nonce has 12 bytes"))
}

impl Place<'_> {
    /// Unambiguous: each part with its length before it.
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.table, self.column, self.row] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { table: "secrets", column: "sealed", row: "1" };

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let key = MasterKey::generate();
        let sealed = seal(&key, PLACE, b"sk-secret");
        assert_eq!(open(&key, PLACE, &sealed).unwrap().as_slice(), b"sk-secret");
        assert_eq!(open(&key, PLACE, &seal(&key, PLACE, b"")).unwrap().as_slice(), b"");
        assert!(!sealed.windows(9).any(|part| part == b"sk-secret"));
        assert_ne!(sealed, seal(&key, PLACE, b"sk-secret"));
        for other in [
            Place { row: "2", ..PLACE },
            Place { table: "kept", ..PLACE },
            Place { column: "body", ..PLACE },
            Place { table: "secretss", column: "ealed", row: "1" },
        ] {
            assert_eq!(open(&key, other, &sealed).unwrap_err(), Locked::Damaged, "{other:?}");
        }
    }

    #[test]
    fn another_key_is_named() {
        let (key, other) = (MasterKey::generate(), MasterKey::generate());
        let sealed = seal(&key, PLACE, b"x");
        assert_eq!(open(&other, PLACE, &sealed).unwrap_err(), Locked::OtherKey(key.id()));
    }

    #[test]
    fn any_changed_byte_and_any_cut_is_found() {
        let key = MasterKey::generate();
        let sealed = seal(&key, PLACE, b"abc");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, PLACE, &changed).is_err(), "byte {at}");
            assert_eq!(open(&key, PLACE, &sealed[..at]).unwrap_err(), Locked::Damaged, "cut at {at}");
        }
    }
}
