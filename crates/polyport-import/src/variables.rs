//! Values that stand in the environment, in the words of each gateway.

/// The name of the variable that a text refers to with one of these prefixes.
pub(crate) fn referred<'t>(text: &'t str, prefixes: &[&str]) -> Option<&'t str> {
    let text = text.trim();
    let inner = prefixes.iter().find_map(|prefix| strip(text, prefix))?;
    let inner = match inner.strip_prefix('{') {
        // A default behind a colon is the gateway's own business.
        Some(braced) => braced.strip_suffix('}')?.split(':').next()?,
        None => inner,
    };
    let name = inner.trim();
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    fits.then_some(name)
}

/// Prefixes of words are written in any case, as in `ENV:NAME`.
fn strip<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// How a value of the environment is written here.
pub(crate) fn reference(name: &str) -> String {
    format!("env:{name}")
}

/// The name behind `env:`.
pub(crate) fn name_of(text: &str) -> Option<&str> {
    text.strip_prefix("env:").filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_in_all_words() {
        assert_eq!(referred("ENV:OPENAI_API_KEY", &["env:"]), Some("OPENAI_API_KEY"));
        assert_eq!(referred("os.environ/A", &["os.environ/"]), Some("A"));
        assert_eq!(referred("$A_1", &["$"]), Some("A_1"));
        assert_eq!(referred("${A:-x}", &["$"]), Some("A"));
        assert_eq!(referred("sk-1", &["$", "env:"]), None);
        assert_eq!(referred("$1,00", &["$"]), None);
        assert_eq!(referred("é", &["env:"]), None);
    }
}
