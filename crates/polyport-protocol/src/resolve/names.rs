//! Names of tools under the rules of the target, reversible within one request.

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use polyport_types::{Protocol, Text};

use super::short_hash;

/// Stands between a namespace and a name where they have to be one.
const NAMESPACE_JOINT: &str = "__";
/// Where names that need a hash are cut, in characters.
const CUT: usize = 55;

/// The names of one request.
pub(super) struct Names {
    rule: Rule,
    /// Namespaces are known: names need not be joined.
    namespaces: bool,
    given: HashMap<Known, Text>,
    used: HashSet<Text>,
}

/// How the client knows a tool: its namespace, its name, and whether a provider fixes its schema.
type Known = (Option<Text>, Text, bool);

/// What a protocol allows in a name.
#[derive(Clone, Copy)]
struct Rule {
    longest: usize,
    /// Characters beside letters, digits and `_`.
    others: &'static [char],
    /// The first character is a letter or `_`.
    letter_first: bool,
}

impl Names {
    /// The rule of a protocol. Within one protocol nothing is renamed: the client knows the rule.
    pub(super) fn new(target: Protocol, same: bool) -> Self {
        let rule = match target {
            _ if same => Rule { longest: usize::MAX, others: &[], letter_first: false },
            Protocol::Chat | Protocol::Messages => Rule { longest: 64, others: &['-'], letter_first: false },
            Protocol::Responses => Rule { longest: 128, others: &['-'], letter_first: false },
            Protocol::Gemini => Rule { longest: 64, others: &['-', '.', ':'], letter_first: true },
        };
        Self { rule, namespaces: target == Protocol::Responses, given: HashMap::new(), used: HashSet::new() }
    }

    /// The name the target sees. The same name gives the same each time.
    pub(super) fn give(&mut self, namespace: Option<&Text>, name: &Text) -> Text {
        self.give_as((namespace.filter(|_| !self.namespaces).cloned(), name.clone(), false))
    }

    /// The name of a tool whose schema its provider fixes: never that of another tool.
    pub(super) fn give_builtin(&mut self, name: &Text) -> Text {
        self.give_as((None, name.clone(), true))
    }

    /// The name in a call: of the tool it was made for, or of the only one with that name.
    pub(super) fn give_call(&mut self, namespace: Option<&Text>, name: &Text, builtin: bool) -> Text {
        let plain = namespace.filter(|_| !self.namespaces).is_none();
        match self.exact(name, builtin).filter(|_| plain) {
            Some(given) => given.clone(),
            None => self.give(namespace, name),
        }
    }

    fn give_as(&mut self, key: Known) -> Text {
        let name = &key.1;
        if let Some(given) = self.given.get(&key) {
            return given.clone();
        }
        let joined = match &key.0 {
            Some(namespace) => Text::from(format!("{namespace}{NAMESPACE_JOINT}{name}")),
            None => name.clone(),
        };
        let mut given = if self.rule.fits(&joined) { joined.clone() } else { self.rule.make(&joined) };
        let mut number = 2;
        while self.rule.longest != usize::MAX && self.used.contains(&given) {
            let stem: String = joined.chars().map(|c| self.rule.replace(c)).take(CUT).collect();
            given = Text::from(format!("{stem}_{number}"));
            number += 1;
        }
        self.used.insert(given.clone());
        self.given.insert(key, given.clone());
        given
    }

    /// The name given to a tool without namespace, of this kind if there are two.
    fn exact(&self, name: &Text, builtin: bool) -> Option<&Text> {
        [builtin, !builtin].into_iter().find_map(|builtin| self.given.get(&(None, name.clone(), builtin)))
    }

    /// The name given to any tool of this name, whatever its namespace; of this kind if there are two.
    pub(super) fn find(&self, name: &Text, builtin: bool) -> Option<&Text> {
        if let Some(given) = self.exact(name, builtin) {
            return Some(given);
        }
        let mut same = self.given.iter().filter(|((_, own, _), _)| own == name).map(|(_, given)| given);
        // Only a name that several namespaces use is ambiguous: the smallest is as good as any, and always the same.
        let first = same.next()?;
        Some(same.fold(first, |least, given| if given < least { given } else { least }))
    }
}

impl Rule {
    fn allows(&self, character: char) -> bool {
        character.is_ascii_alphanumeric() || character == '_' || self.others.contains(&character)
    }

    fn fits(&self, name: &str) -> bool {
        if self.longest == usize::MAX {
            return true;
        }
        let begins = !self.letter_first || begins_like_a_word(name);
        begins && !name.is_empty() && name.len() <= self.longest && name.chars().all(|c| self.allows(c))
    }

    fn replace(&self, character: char) -> char {
        if self.allows(character) { character } else { '_' }
    }

    /// Illegal characters become `_`; the hash of what it was keeps it apart from others.
    fn make(&self, name: &str) -> Text {
        let mut made = String::new();
        if self.letter_first && !begins_like_a_word(name) {
            made.push('_');
        }
        made.extend(name.chars().map(|character| self.replace(character)));
        made.truncate(CUT);
        format!("{made}_{}", short_hash(name)).into()
    }
}

fn begins_like_a_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(target: Protocol, name: &str) -> Text {
        Names::new(target, false).give(None, &name.into())
    }

    #[test]
    fn names_that_fit_are_kept() {
        for protocol in Protocol::ALL {
            assert_eq!(given(protocol, "get_weather-2"), "get_weather-2");
        }
        assert_eq!(given(Protocol::Gemini, "mcp.tool:x"), "mcp.tool:x");
    }

    #[test]
    fn others_are_cut_and_get_a_hash() {
        let long = "a".repeat(80);
        for name in ["mcp.tool", "größe", "with space", &long, ""] {
            let made = given(Protocol::Messages, name);
            assert!(made.len() <= 64, "{made}");
            assert!(made.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{made}");
            assert_eq!(made, given(Protocol::Messages, name), "the same each time");
        }
        assert_eq!(given(Protocol::Responses, &long), long.as_str());
        assert!(given(Protocol::Gemini, "2fa").starts_with("_2fa_"));
    }

    #[test]
    fn names_stay_apart() {
        let mut names = Names::new(Protocol::Chat, false);
        let (a, b) = (Text::from("a.b"), Text::from("a:b"));
        assert_ne!(names.give(None, &a), names.give(None, &b));
        let namespace = Text::from("crm");
        assert_eq!(names.give(Some(&namespace), &"find".into()), "crm__find");
        assert_eq!(names.give(None, &"crm__find".into()), "crm__find_2");
        assert_eq!(names.give(Some(&namespace), &"find".into()), "crm__find");
        assert_eq!(names.find(&"find".into(), false).map(|name| &**name), Some("crm__find"));
    }

    #[test]
    fn builtins_share_their_names_with_nobody() {
        let mut names = Names::new(Protocol::Chat, false);
        let patch = Text::from("apply_patch");
        assert_eq!(names.give(None, &patch), "apply_patch");
        assert_eq!(names.give_builtin(&patch), "apply_patch_2");
        assert_eq!(names.give_call(None, &patch, true), "apply_patch_2");
        assert_eq!(names.give_call(None, &patch, false), "apply_patch");
        let shell = Text::from("shell");
        assert_eq!(names.give_builtin(&shell), "shell");
        assert_eq!(names.give_call(None, &shell, false), "shell", "there is no other");
    }

    #[test]
    fn responses_knows_namespaces() {
        let mut names = Names::new(Protocol::Responses, false);
        assert_eq!(names.give(Some(&"crm".into()), &"find".into()), "find");
        assert_eq!(names.give(Some(&"erp".into()), &"find".into()), "find");
    }
}
