//! What names of headers and of members of a query tell about their values.

/// What is as long is no ordinary word.
const NO_WORD: usize = 16;

/// Words in names of headers and of members of the query whose values are not recorded.
const WORDS: [&str; 28] = [
    "account",
    "apikey",
    "auth",
    "authorization",
    "authenticate",
    "authentication",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "email",
    "jwt",
    "key",
    "keys",
    "org",
    "organization",
    "password",
    "proj",
    "project",
    "secret",
    "sid",
    "sig",
    "signature",
    "ssn",
    "tenant",
    "token",
    "user",
    "username",
];

/// Names that hold such a word and are harmless, or necessary.
const HARMLESS: [&str; 3] = ["idempotency-key", "sec-websocket-key", "user-agent"];

/// Headers that tell who is where. What they say is taken out here, and not looked for elsewhere: it may be `localhost`.
pub(crate) const PLACES: [&str; 9] = [
    "cf-connecting-ip",
    "fly-client-ip",
    "forwarded",
    "host",
    "true-client-ip",
    "x-client-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

/// Members of a query that tell a version or a form, and may be in any configuration.
pub(crate) const PLAIN_MEMBERS: [&str; 4] = ["alt", "api-version", "format", "version"];

/// Whether the value that goes by this name is none to be recorded.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `x-ratelimit-limit-tokens` counts tokens, and `anthropic-organization-id` does not.
    if HARMLESS.contains(&name.as_str()) || name.contains("ratelimit") {
        return false;
    }
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        WORDS.contains(&word) || ["apikey", "token", "secret", "password"].iter().any(|end| word.ends_with(end))
    })
}

/// Whether such a value is nothing but a key, a token or a password, however it looks.
pub(crate) fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = ["authorization", "key", "password", "secret", "token"];
    is_secret(&name) && ends.iter().any(|end| name.ends_with(end))
}

/// Whether it may stand in any text, as the role or the method that a header tells, or a date.
pub(crate) fn is_word(value: &str) -> bool {
    let value = value.trim();
    let digits = value.bytes().any(|byte| byte.is_ascii_digit());
    let letters = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    value.len() < NO_WORD && !value.contains('@') && !(digits && (letters || value.len() >= 12))
}

/// Headers that an operator may set and that say nothing about the operator.
pub(crate) fn is_plain(name: &str) -> bool {
    ["accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta", "user-agent"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d5_names_tell_what_is_secret() {
        for name in [
            "authorization",
            "x-api-key",
            "x-goog-api-key",
            "api-key",
            "cookie",
            "set-cookie",
            "key",
            "access_token",
            "openai-organization",
            "OpenAI-Project",
            "chatgpt-account-id",
            "x-goog-user-project",
            "x-amz-security-token",
            "X-Amz-Signature",
            "x-internal-token",
            "anthropic-organization-id",
            "x-auth-token",
            "x-user-email",
            "proxy-authorization",
            "x-goog-authenticated-user-email",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "content-type",
            "x-ratelimit-remaining-tokens",
            "anthropic-ratelimit-tokens-limit",
            "user-agent",
            "x-request-id",
            "alt",
            "max_tokens",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
