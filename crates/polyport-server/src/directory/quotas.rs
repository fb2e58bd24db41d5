//! How much the keys of a team, a user or a program may use.

use std::sync::Arc;

use polyport_accounting::{Limit, Money, Window};
use polyport_types::{Pattern, Text};
use serde_json::{Map, Value};

/// Most limits of one subject.
const MOST: usize = 50;

/// Largest number of requests or tokens that makes sense.
const LARGEST: u64 = 1_000_000_000_000_000;

/// The limits of one subject on the same models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Whose they are.
    pub(crate) subject: Subject,
    /// Of which models; of all without it.
    pub(crate) models: Option<Pattern>,
    pub(crate) limits: Arc<[Limit]>,
}

/// Who is limited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A key, by its id; those of the configuration by their names.
    Key(Text),
    /// A user, by id.
    User(Text),
    /// A team, by id.
    Team(Text),
    /// Some callers together, by their names as the configuration lists them; everybody without any.
    Several(Text),
}

impl Subject {
    /// As a log and a message have it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::User(_) => "user",
            Self::Team(_) => "team",
            Self::Several(_) => "gateway",
        }
    }
}

/// Limits that the configuration sets.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// Names of keys, users and teams that share them; all callers share them without any.
    callers: Vec<Text>,
    pub(crate) quota: Quota,
}

impl Shared {
    pub(crate) fn new(callers: Vec<Text>, models: Option<Pattern>, limits: Arc<[Limit]>) -> Self {
        let subject = Subject::Several(callers.join(",").into());
        Self { callers, quota: Quota { subject, models, limits } }
    }

    /// Whether a caller with these names shares them.
    pub(crate) fn is_about(&self, names: &[&str]) -> bool {
        self.callers.is_empty() || names.iter().any(|name| self.callers.iter().any(|known| **known == **name))
    }
}

/// Limits as a definition has them, by the models that they are about.
pub(crate) type ByModels = Vec<(Option<Pattern>, Arc<[Limit]>)>;

/// Reads the member `limits` of a definition: a list of `{"what", "window", "amount", "models"}`.
///
/// # Errors
/// The member that is wrong, and what is wrong with it.
pub(crate) fn read(definition: &Map<String, Value>) -> Result<ByModels, (String, String)> {
    let list = match definition.get("limits") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(("limits".to_owned(), "must be a list of limits".to_owned())),
    };
    if list.len() > MOST {
        return Err(("limits".to_owned(), format!("holds more than {MOST} entries")));
    }
    let mut found: Vec<(Option<Pattern>, Vec<Limit>)> = Vec::new();
    for (at, entry) in list.iter().enumerate() {
        let (models, limit) = one(entry).map_err(|(member, words)| (format!("limits[{at}]{member}"), words))?;
        let place = match found.iter().position(|(known, _)| *known == models) {
            Some(place) => place,
            None => {
                found.push((models, Vec::new()));
                found.len() - 1
            }
        };
        let Some((_, limits)) = found.get_mut(place) else { continue };
        if limits.iter().any(|known| counts_like(known, &limit)) {
            let words = "limits the same thing in the same window as an entry before it".to_owned();
            return Err((format!("limits[{at}]"), words));
        }
        limits.push(limit);
    }
    Ok(found.into_iter().map(|(models, limits)| (models, limits.into())).collect())
}

pub(crate) fn counts_like(a: &Limit, b: &Limit) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b) && a.window() == b.window()
}

fn one(entry: &Value) -> Result<(Option<Pattern>, Limit), (String, String)> {
    let wrong = |member: &str, words: String| Err((format!(".{member}"), words));
    let Value::Object(members) = entry else { return Err((String::new(), "must be an object".to_owned())) };
    if let Some(name) = members.keys().find(|name| !["what", "window", "amount", "models"].contains(&name.as_str())) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
        let words = format!("unknown member `{shown}`; known are what, window, amount, models");
        return Err((String::new(), words));
    }
    let models = match members.get("models") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if !text.trim().is_empty() && text.len() <= 200 => {
            Some(Pattern::new(text.trim())).filter(|pattern| pattern.as_str() != "*")
        }
        Some(_) => return wrong("models", "must be a name of a model, `*` standing for anything".to_owned()),
    };
    let what = members.get("what").and_then(Value::as_str).unwrap_or_default();
    let window = match (what, members.get("window").and_then(Value::as_str)) {
        ("concurrency", None) => None,
        ("concurrency", Some(_)) => return wrong("window", "concurrency has no window".to_owned()),
        (_, Some("minute")) => Some(Window::Minute),
        (_, Some("day")) => Some(Window::Day),
        (_, Some("month")) => Some(Window::Month),
        (_, Some("total")) => Some(Window::Total),
        (_, _) => return wrong("window", "must be one of minute, day, month, total".to_owned()),
    };
    let amount = members.get("amount").unwrap_or(&Value::Null);
    let number = || {
        let number = amount.as_u64().filter(|number| (1..=LARGEST).contains(number));
        number.ok_or_else(|| (".amount".to_owned(), format!("must be a whole number from 1 to {LARGEST}")))
    };
    let limit = match (what, window) {
        ("requests", Some(window)) => Limit::Requests { window, amount: number()? },
        ("tokens", Some(window)) => Limit::Tokens { window, amount: number()? },
        ("money", Some(window)) => {
            let amount = serde_json::from_value::<Money>(amount.clone()).ok();
            let amount = amount.filter(|money| money.picos() > 0 && money.picos() <= u128::from(u64::MAX));
            match amount {
                Some(amount) => Limit::Money { window, amount },
                None => {
                    let words = "must be an amount of money above 0 and below 18 million, such as 12.5 or \"0.01\"";
                    return wrong("amount", words.to_owned());
                }
            }
        }
        ("concurrency", None) => Limit::Concurrency { amount: number()? },
        _ => return wrong("what", "must be one of requests, tokens, money, concurrency".to_owned()),
    };
    Ok((models, limit))
}

/// As a definition has them.
pub(crate) fn shown(quotas: &ByModels) -> Value {
    let one = |models: &Option<Pattern>, limit: &Limit| {
        let mut value = serde_json::to_value(limit).unwrap_or_default();
        if let (Some(members), Some(models)) = (value.as_object_mut(), models) {
            members.insert("models".to_owned(), models.as_str().into());
        }
        value
    };
    quotas.iter().flat_map(|(models, limits)| limits.iter().map(move |limit| one(models, limit))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Result<ByModels, (String, String)> {
        read(json!({ "limits": value }).as_object().unwrap())
    }

    #[test]
    fn limits_are_read_and_shown_alike() {
        let given = json!([
            {"what": "requests", "window": "minute", "amount": 60},
            {"what": "money", "window": "month", "amount": "12.5"},
            {"what": "concurrency", "amount": 4},
            {"what": "tokens", "window": "day", "amount": 1000, "models": "gpt-*"},
        ]);
        let read = of(&given).unwrap();
        assert_eq!(read.len(), 2, "by models");
        assert_eq!(shown(&read), given);
    }

    #[test]
    fn mistakes_are_named() {
        for (value, path) in [
            (json!({}), "limits"),
            (json!([1]), "limits[0]"),
            (json!([{"what": "requests", "window": "minute", "amount": -1}]), "limits[0].amount"),
            (json!([{"what": "requests", "window": "minute", "amount": 0}]), "limits[0].amount"),
            (json!([{"what": "requests", "window": "minute", "amount": 1e300}]), "limits[0].amount"),
            (json!([{"what": "requests", "window": "year", "amount": 1}]), "limits[0].window"),
            (json!([{"what": "requests", "amount": 1}]), "limits[0].window"),
            (json!([{"what": "concurrency", "window": "day", "amount": 1}]), "limits[0].window"),
            (json!([{"what": "cups", "window": "day", "amount": 1}]), "limits[0].what"),
            (json!([{"what": "money", "window": "day", "amount": "-3"}]), "limits[0].amount"),
            (json!([{"what": "money", "window": "day", "amount": "1e40"}]), "limits[0].amount"),
            (json!([{"what": "tokens", "window": "day", "amount": 1, "models": ""}]), "limits[0].models"),
            (json!([{"what": "tokens", "window": "day", "amount": 1, "of": 1}]), "limits[0]"),
            (
                json!([{"what": "tokens", "window": "day", "amount": 1}, {"what": "tokens", "window": "day", "amount": 2}]),
                "limits[1]",
            ),
        ] {
            assert_eq!(of(&value).unwrap_err().0, path, "{value}");
        }
    }
}
