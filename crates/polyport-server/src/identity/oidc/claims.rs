//! Whether an ID token is good, and what its groups give.

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use polyport_store::Role;
use polyport_types::Text;
use serde_json::{Map, Value};

use super::Failed;
use crate::config::Oidc;

/// Signatures that are taken: made with a private key. Those made with a secret, and none at all, are not.
const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The clocks may differ by this much, in seconds.
const LEEWAY: u64 = 60;

/// Longest ID token, in bytes.
const LONGEST: usize = 64 << 10;

/// The id of the key that a token says it is signed with.
pub(crate) fn key_of(token: &str) -> Result<Option<String>, Failed> {
    if token.len() > LONGEST {
        return Err(Failed::Token("it is too long".to_owned()));
    }
    Ok(decode_header(token).map_err(|error| Failed::Token(error.to_string()))?.kid)
}

/// The claims of a token that is good: signed by the provider, for us, now, and for this sign-in.
pub(crate) fn verified(token: &str, keys: &JwkSet, oidc: &Oidc, nonce: &str) -> Result<Map<String, Value>, Failed> {
    let wrong = |words: &str| Failed::Token(words.to_owned());
    let header = decode_header(token).map_err(|error| Failed::Token(error.to_string()))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(wrong("it is signed in a way that is not taken"));
    }
    let signs = |key: &&Jwk| {
        let common = &key.common;
        let known =
            common.key_algorithm.is_none_or(|known| Algorithm::try_from(known).is_ok_and(|known| known == header.alg));
        known && !matches!(common.public_key_use, Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)))
    };
    let key = match &header.kid {
        Some(id) => keys.find(id).filter(signs),
        None => {
            let mut fitting = keys.keys.iter().filter(signs);
            // Without a name there has to be one only.
            fitting.next().filter(|_| fitting.next().is_none())
        }
    };
    let key = key.ok_or_else(|| wrong("it is signed with a key that the provider does not show"))?;
    let key = DecodingKey::from_jwk(key).map_err(|error| Failed::Token(error.to_string()))?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_audience(&[&*oidc.client_id]);
    validation.set_issuer(&[&*oidc.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let token = decode::<Map<String, Value>>(token, &key, &validation);
    let claims = token.map_err(|error| Failed::Token(error.to_string()))?.claims;
    if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
        return Err(wrong("it was made for another sign-in"));
    }
    // OpenID Connect Core §3.1.3.7.
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
    let party = claims.get("azp").and_then(Value::as_str);
    if party.is_some_and(|party| *party != *oidc.client_id) || several && party.is_none() {
        return Err(wrong("it was made for another program"));
    }
    match claims.get("sub").and_then(Value::as_str) {
        Some(subject) if !subject.is_empty() && subject.len() <= 255 => Ok(claims),
        _ => Err(wrong("it names nobody")),
    }
}

/// The groups that claims tell of; nothing if they tell of none.
pub(crate) fn groups(claims: &Map<String, Value>, oidc: &Oidc) -> Option<Vec<String>> {
    let whole = oidc.groups_claim.join(".");
    // Some providers put a whole address into the name.
    let found = claims.get(&whole).or_else(|| {
        let (first, rest) = oidc.groups_claim.split_first()?;
        rest.iter().try_fold(claims.get(&**first)?, |value, step| value.get(&**step))
    })?;
    match found {
        Value::Array(list) => Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        Value::String(one) => Some(vec![one.clone()]),
        _ => None,
    }
}

/// The role and the name of the team that groups give.
pub(crate) fn rights(groups: &[String], oidc: &Oidc) -> Result<(Role, Option<Text>), Failed> {
    let among = |list: &[Text]| list.iter().any(|group| groups.iter().any(|one| **one == **group));
    let role = match () {
        () if among(&oidc.admins) => Role::Admin,
        () if among(&oidc.managers) => Role::Manager,
        () if among(&oidc.members) => Role::Member,
        () => return Err(Failed::NoRole),
    };
    let team = oidc.teams.iter().find(|(group, _)| groups.iter().any(|one| **one == **group));
    Ok((role, team.map(|(_, team)| team.clone())))
}

/// The name of a new user.
pub(crate) fn name(claims: &Map<String, Value>, oidc: &Oidc) -> String {
    let named = oidc.name_claims.iter().find_map(|claim| claims.get(&**claim)?.as_str());
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let name = super::super::access::clean(named.filter(|name| !name.trim().is_empty()).unwrap_or(subject));
    if name.is_empty() { "somebody".to_owned() } else { name }
}
