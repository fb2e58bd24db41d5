//! Names that fit where they go.

use std::collections::HashSet;

/// Longest name of a provider, in characters.
const LONGEST: usize = 60;

/// A name that a provider may have: without spaces and slashes.
pub(crate) fn provider(want: &str) -> String {
    let mut name = String::new();
    for c in want.trim().chars().take(LONGEST) {
        let bad = c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | ',' | '"' | '\'' | '*' | '`');
        if !bad {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_matches(['-', '.']);
    match name {
        "" => "provider".to_owned(),
        // Built in.
        "echo" => "echo-2".to_owned(),
        name => name.to_owned(),
    }
}

/// A name for people, as a line.
pub(crate) fn label(want: &str) -> String {
    let name: String = want.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    name.trim().to_owned()
}

/// The name, or the first of `name-2`, `name-3`, … that nobody has; it is taken from now on.
pub(crate) fn free(want: &str, taken: &mut HashSet<String>) -> String {
    let mut name = want.to_owned();
    let mut next = 2_u32;
    while !taken.insert(name.clone()) {
        name = format!("{want}-{next}");
        next += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_providers_fit_into_model_names() {
        assert_eq!(provider(" My Proxy / 2 "), "My-Proxy-2");
        assert_eq!(provider("///"), "provider");
        assert_eq!(provider("echo"), "echo-2");
        assert_eq!(provider("通义 千问"), "通义-千问");
        let mut taken = HashSet::new();
        assert_eq!(free("a", &mut taken), "a");
        assert_eq!(free("a", &mut taken), "a-2");
        assert_eq!(free("a", &mut taken), "a-3");
    }
}
