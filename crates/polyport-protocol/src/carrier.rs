//! Signatures of one provider travelling through another protocol's slots.
//!
//! Token: `pp1.<family>.<kind>.<scope>.<payload>.<mac>`, all of `[A-Za-z0-9._-]`. Family: `a` anthropic, `o` openai, `g` google, `x` xai,
//! `k` moonshot, `u` other. Kind: `t` thinking, `r` redacted, `i` reasoning item, `p` part, `f` function call, with a
//! suffix `n` (belongs to the next part), `p` (to the previous part) or `s` (stands alone) where position matters.
//! Scope: eight hex digits. Payload: base64url of the verbatim value; of a reasoning item, of JSON with its id. Mac: the first
//! sixteen bytes of a keyed hash over everything before it.
//!
//! Gemini's slot holds bytes in base64: there the token is wrapped once more ([`CarrierKey::seal_base64`]).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use polyport_types::{ClientProtocol, Family, Protocol, Signature, SignatureKind, Text};
use subtle::ConstantTimeEq as _;

use crate::context::ClientContext;

/// How every token begins.
const PREFIX: &str = "pp1.";
/// Standard base64 of a text that begins with [`PREFIX`].
const PREFIX_BASE64: &str = "cHAxL";
/// Bytes of the mac.
const MAC_BYTES: usize = 16;
/// Clients may hand a bytes field back without padding.
const STANDARD_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Nor do all of them keep to the standard alphabet.
const URL_SAFE_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secret that authenticates carriers. Made once, kept in the data directory.
#[derive(Clone)]
pub struct CarrierKey([u8; 32]);

impl std::fmt::Debug for CarrierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CarrierKey(REDACTED)")
    }
}

/// Which part a carried signature belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The part whose slot the carrier stands in.
    Own,
    /// The part after it.
    Next,
    /// The part before it.
    Previous,
    /// No part: it stands alone.
    Alone,
}

/// Payload of a reasoning item: its provider wants the item's id back as well.
#[derive(serde::Serialize, serde::Deserialize)]
struct ItemPayload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    encrypted_content: String,
}

impl CarrierKey {
    /// A key from secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Writes a signature as a token. `scope` is that of the target it comes from, used unless the signature knows its own.
    #[must_use]
    pub fn seal(&self, signature: &Signature, placement: Placement, scope: u32) -> String {
        let payload = match signature.kind {
            SignatureKind::ReasoningItem => {
                let item = ItemPayload {
                    id: signature.item_id.as_deref().map(str::to_owned),
                    encrypted_content: signature.value.to_string(),
                };
                // Two strings always serialise.
                serde_json::to_vec(&item).unwrap_or_default()
            }
            _ => signature.value.as_bytes().to_vec(),
        };
        let mut token = format!(
            "{PREFIX}{family}.{kind}{suffix}.{scope:08x}.",
            family = family_letter(signature.family),
            kind = kind_letter(signature.kind),
            suffix = placement_letter(placement),
            scope = signature.scope.unwrap_or(scope),
        );
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let mac = self.mac(&token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(mac, &mut token);
        token
    }

    /// The token in standard base64, for slots that hold bytes (Gemini `thoughtSignature`).
    #[must_use]
    pub fn seal_base64(&self, signature: &Signature, placement: Placement, scope: u32) -> String {
        STANDARD.encode(self.seal(signature, placement, scope))
    }

    /// Reads a token back. `None` if it is no token or its mac is wrong.
    #[must_use]
    pub fn open(&self, token: &str) -> Option<(Signature, Placement)> {
        let (authenticated, mac) = token.rsplit_once('.')?;
        let mut fields = authenticated.strip_prefix(PREFIX)?.split('.');
        let (family, kind) = (fields.next()?, fields.next()?);
        let (scope, payload) = (fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        if !bool::from(self.mac(authenticated).as_slice().ct_eq(&mac)) {
            return None;
        }
        let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let (kind, placement) = read_kind(kind)?;
        let (value, item_id) = match kind {
            SignatureKind::ReasoningItem => {
                let item: ItemPayload = serde_json::from_str(&payload).ok()?;
                (item.encrypted_content, item.id.map(Text::from))
            }
            _ => (payload, None),
        };
        let signature = Signature {
            family: read_family(family)?,
            kind,
            value: value.into(),
            item_id,
            scope: Some(u32::from_str_radix(scope, 16).ok()?),
        };
        Some((signature, placement))
    }

    /// Reads a token back from a slot that holds bytes in base64, of either alphabet, padded or not.
    #[must_use]
    pub fn open_base64(&self, value: &str) -> Option<(Signature, Placement)> {
        if !value.starts_with(PREFIX_BASE64) {
            return None;
        }
        let bytes = STANDARD_LENIENT.decode(value).or_else(|_| URL_SAFE_LENIENT.decode(value)).ok()?;
        self.open(std::str::from_utf8(&bytes).ok()?)
    }

    /// Reads a token in either form.
    #[must_use]
    pub fn open_any(&self, value: &str) -> Option<(Signature, Placement)> {
        self.open(value).or_else(|| self.open_base64(value))
    }

    fn mac(&self, authenticated: &str) -> [u8; MAC_BYTES] {
        let hash = blake3::keyed_hash(&self.0, authenticated.as_bytes());
        let mut mac = [0; MAC_BYTES];
        for (to, from) in mac.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        mac
    }
}

/// Whether a slot value claims to be a token, plain or in base64: such a value never goes to a provider.
#[must_use]
pub fn is_token(value: &str) -> bool {
    value.starts_with(PREFIX) || value.starts_with(PREFIX_BASE64)
}

/// The name in the side table of a text whose signature its client cannot carry: nothing else of it comes back.
#[must_use]
pub fn text_anchor(text: &str) -> Text {
    let mut digest = TextDigest::default();
    digest.update(text);
    digest.anchor()
}

/// Whether a name in the side table is that of a text.
#[must_use]
pub fn is_text_anchor(anchor: &str) -> bool {
    anchor.starts_with(TEXT_ANCHOR)
}

/// No tool call has an id with a colon at this place.
const TEXT_ANCHOR: &str = "text:";

/// [`text_anchor`] of a text that comes in pieces.
#[derive(Debug, Default)]
pub struct TextDigest(blake3::Hasher);

impl TextDigest {
    /// Adds the next piece.
    pub fn update(&mut self, piece: &str) {
        self.0.update(piece.as_bytes());
    }

    /// The anchor of everything added.
    #[must_use]
    pub fn anchor(&self) -> Text {
        format!("{TEXT_ANCHOR}{}", self.0.finalize().to_hex()).into()
    }
}

/// Whether a protocol's own slots are made for signatures of this family. Chat has no such slot.
#[must_use]
pub fn is_native(protocol: Protocol, family: Family) -> bool {
    match protocol {
        Protocol::Chat => false,
        Protocol::Responses => family == Family::OpenAi,
        Protocol::Messages => family == Family::Anthropic,
        Protocol::Gemini => family == Family::Google,
    }
}

impl ClientContext {
    /// What the client's slot shall hold for a signature of the provider: the value itself where the slot is made for it,
    /// otherwise a token (in base64 for a Gemini client). `None` without a key: then the signature cannot be given out.
    #[must_use]
    pub fn carried(&self, signature: &Signature, placement: Placement) -> Option<Text> {
        let client = self.request.source;
        // Chat servers that sign reasoning want their own words back, whoever's model they serve.
        let chat_to_chat = client == ClientProtocol::Chat && self.provider == Protocol::Chat;
        if chat_to_chat || (placement == Placement::Own && is_native(client.into(), signature.family)) {
            return Some(signature.value.clone());
        }
        let key = self.carrier.as_deref()?;
        let token = match client {
            ClientProtocol::Gemini => key.seal_base64(signature, placement, self.scope),
            ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => {
                key.seal(signature, placement, self.scope)
            }
        };
        Some(token.into())
    }
}

fn family_letter(family: Family) -> char {
    match family {
        Family::Anthropic => 'a',
        Family::OpenAi => 'o',
        Family::Google => 'g',
        Family::XAi => 'x',
        Family::Moonshot => 'k',
        Family::Unknown => 'u',
    }
}

fn read_family(letter: &str) -> Option<Family> {
    Some(match letter {
        "a" => Family::Anthropic,
        "o" => Family::OpenAi,
        "g" => Family::Google,
        "x" => Family::XAi,
        "k" => Family::Moonshot,
        "u" => Family::Unknown,
        _ => return None,
    })
}

fn kind_letter(kind: SignatureKind) -> char {
    match kind {
        SignatureKind::Thinking => 't',
        SignatureKind::Redacted => 'r',
        SignatureKind::ReasoningItem => 'i',
        SignatureKind::Part => 'p',
        SignatureKind::FunctionCall => 'f',
    }
}

fn placement_letter(placement: Placement) -> &'static str {
    match placement {
        Placement::Own => "",
        Placement::Next => "n",
        Placement::Previous => "p",
        Placement::Alone => "s",
    }
}

fn read_kind(letters: &str) -> Option<(SignatureKind, Placement)> {
    let mut letters = letters.chars();
    let kind = match letters.next()? {
        't' => SignatureKind::Thinking,
        'r' => SignatureKind::Redacted,
        'i' => SignatureKind::ReasoningItem,
        'p' => SignatureKind::Part,
        'f' => SignatureKind::FunctionCall,
        _ => return None,
    };
    let placement = match letters.next() {
        None => Placement::Own,
        Some('n') => Placement::Next,
        Some('p') => Placement::Previous,
        Some('s') => Placement::Alone,
        Some(_) => return None,
    };
    letters.next().is_none().then_some((kind, placement))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use polyport_types::Request;
    use proptest::prelude::*;

    use super::*;

    fn families() -> impl Strategy<Value = Family> {
        prop::sample::select(vec![
            Family::Anthropic,
            Family::OpenAi,
            Family::Google,
            Family::XAi,
            Family::Moonshot,
            Family::Unknown,
        ])
    }

    fn signatures() -> impl Strategy<Value = Signature> {
        let kinds = prop::sample::select(vec![
            SignatureKind::Thinking,
            SignatureKind::Redacted,
            SignatureKind::ReasoningItem,
            SignatureKind::Part,
            SignatureKind::FunctionCall,
        ]);
        (families(), kinds, any::<String>(), prop::option::of("[a-z_0-9]{0,12}"), any::<u32>()).prop_map(
            |(family, kind, value, item_id, scope)| Signature {
                family,
                kind,
                value: value.into(),
                item_id: item_id.filter(|_| kind == SignatureKind::ReasoningItem).map(Text::from),
                scope: Some(scope),
            },
        )
    }

    fn placements() -> impl Strategy<Value = Placement> {
        prop::sample::select(vec![Placement::Own, Placement::Next, Placement::Previous, Placement::Alone])
    }

    proptest! {
        #[test]
        fn what_is_sealed_comes_back(signature in signatures(), placement in placements()) {
            let key = CarrierKey::new([7; 32]);
            let token = key.seal(&signature, placement, 0);
            prop_assert!(is_token(&token));
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            prop_assert_eq!(key.open(&token), Some((signature.clone(), placement)));
            let wrapped = key.seal_base64(&signature, placement, 0);
            prop_assert!(is_token(&wrapped));
            prop_assert_eq!(key.open_base64(&wrapped), Some((signature.clone(), placement)));
            prop_assert_eq!(key.open_base64(wrapped.trim_end_matches('=')), Some((signature, placement)));
        }

        #[test]
        fn a_changed_token_does_not_open(signature in signatures(), placement in placements(), at in any::<prop::sample::Index>(), byte in b'!'..b'~') {
            let key = CarrierKey::new([7; 32]);
            let token = key.seal(&signature, placement, 3);
            let mut bytes = token.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            // The last character of a base64 text may hold bits that decode to nothing; such a text is refused as well.
            prop_assert_eq!(key.open(&changed), None);
        }

        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            let key = CarrierKey::new([7; 32]);
            prop_assert_eq!(key.open_any(&text), None);
            prop_assert_eq!(key.open_any(&format!("pp1.{text}")), None);
        }
    }

    #[test]
    fn another_key_does_not_open() {
        let signature = Signature::new(Family::Google, SignatureKind::FunctionCall, "Q2lR");
        let token = CarrierKey::new([1; 32]).seal(&signature, Placement::Next, 0x77aa_01bc);
        assert!(token.starts_with("pp1.g.fn.77aa01bc.UTJsUg."), "{token}");
        assert_eq!(CarrierKey::new([2; 32]).open(&token), None);
    }

    #[test]
    fn a_reasoning_item_keeps_its_id() {
        let key = CarrierKey::new([1; 32]);
        let mut signature = Signature::new(Family::OpenAi, SignatureKind::ReasoningItem, "gAAAA");
        signature.item_id = Some("rs_1".into());
        let (opened, _) = key.open(&key.seal(&signature, Placement::Own, 5)).unwrap();
        assert_eq!(opened.item_id.as_deref(), Some("rs_1"));
        assert_eq!(opened.value, "gAAAA");
        assert_eq!(opened.scope, Some(5));
    }

    #[test]
    fn clients_get_their_own_values_verbatim_and_others_sealed() {
        let mut context = ClientContext::fixed(Request::new(ClientProtocol::Messages, "m"), Protocol::Gemini);
        let google = Signature::new(Family::Google, SignatureKind::Part, "Q2lR");
        let anthropic = Signature::new(Family::Anthropic, SignatureKind::Thinking, "Eq");
        assert_eq!(context.carried(&anthropic, Placement::Own).as_deref(), Some("Eq"));
        assert_eq!(context.carried(&google, Placement::Own), None, "no key, no token");

        let key = Arc::new(CarrierKey::new([9; 32]));
        context.carrier = Some(Arc::clone(&key));
        context.scope = 12;
        let token = context.carried(&google, Placement::Next).unwrap();
        let (opened, placement) = key.open(&token).unwrap();
        assert_eq!((&*opened.value, opened.scope, placement), ("Q2lR", Some(12), Placement::Next));

        context.request = Arc::new(Request::new(ClientProtocol::Gemini, "m"));
        let wrapped = context.carried(&anthropic, Placement::Own).unwrap();
        assert!(!wrapped.starts_with(PREFIX));
        assert_eq!(key.open_base64(&wrapped).unwrap().0.value, "Eq");
        assert_eq!(context.carried(&google, Placement::Own).as_deref(), Some("Q2lR"));
    }

    #[test]
    fn the_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", CarrierKey::new([65; 32])), "CarrierKey(REDACTED)");
    }
}
