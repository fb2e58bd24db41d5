//! `cargo xtask models`: the table of model facts, and that of prices ([`prices`]).
//!
//! Two public tables (see `data/README.md` of the shared folder) become one compact text, embedded in the binary. Only facts are
//! taken: limits, what goes in, which parameters are accepted. Where the two disagree, the newer one (prices table) wins on limits, and
//! an ability counts if either knows of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use polyport_types::model_name::undated;
use serde_json::{Map, Value};

use crate::prices;

/// Where the public tables are, beside the project.
pub(crate) const SHARED: &str = "../shared";

const OUTPUT: &str = "crates/polyport-protocol/src/models.txt";

/// What to make.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder with `data/litellm-prices.json` and `data/models-dev.json`
    #[arg(long, default_value = SHARED)]
    shared: PathBuf,
    /// Fail if a table is not up to date instead of writing it
    #[arg(long)]
    check: bool,
}

impl Args {
    /// To compare the tables with their sources.
    pub(crate) fn check(shared: &Path) -> Self {
        Self { shared: shared.to_owned(), check: true }
    }
}

/// Sections of the table: name there, provider in the prices table, providers in the other one. The unnamed section holds the makers
/// themselves; the others are services that host foreign models with limits of their own.
const SECTIONS: [(&str, &[&str], &[&str]); 6] = [
    (
        "",
        &["openai", "anthropic", "gemini", "xai", "deepseek", "moonshot", "zai", "mistral", "dashscope", "minimax"],
        &[
            "openai",
            "anthropic",
            "google",
            "xai",
            "deepseek",
            "moonshotai",
            "zai",
            "zhipuai",
            "mistral",
            "alibaba",
            "minimax",
        ],
    ),
    ("groq", &["groq"], &["groq"]),
    ("cerebras", &["cerebras"], &["cerebras"]),
    ("fireworks", &["fireworks_ai"], &["fireworks-ai"]),
    ("together", &["together_ai"], &["togetherai"]),
    ("openrouter", &[], &["openrouter"]),
];

const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// What is known about a model. `None` is not known.
#[derive(Clone, Debug, Default, PartialEq)]
struct Facts {
    context: Option<u64>,
    output: Option<u64>,
    /// A letter for each ability; see [`LETTERS`].
    abilities: BTreeMap<char, bool>,
    efforts: Vec<usize>,
    budget: Option<(i64, Option<i64>)>,
    /// The second table, which describes models more fully, has it.
    described: bool,
}

/// Letters of abilities, upper case if present and lower case if absent: images, documents, audio, video, tools, structured output,
/// reasoning, sampling parameters, reasoning can be switched off, prefill, forced tool choice, fast mode, and how a Messages model
/// thinks: by budget (b), as it sees fit (a). Both of the last two may hold.
const LETTERS: &str = "IDAVTSRPOFUXBK";

/// Makes or checks the tables.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (newer, older) = sources(&args.shared)?;
    for (output, text) in [(OUTPUT, table(&newer, &older)), (prices::OUTPUT, prices::table(&newer, &older))] {
        if args.check {
            let is_new = std::fs::read_to_string(output).context(output)? == text;
            anyhow::ensure!(is_new, "{output} is stale: cargo xtask models");
        } else {
            std::fs::write(output, text).context(output)?;
        }
    }
    Ok(())
}

/// The two public tables: prices and facts.
pub(crate) fn sources(shared: &Path) -> Result<(Map<String, Value>, Map<String, Value>)> {
    Ok((read(&shared.join("data/litellm-prices.json"))?, read(&shared.join("data/models-dev.json"))?))
}

fn read(path: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

fn table(prices: &Map<String, Value>, facts: &Map<String, Value>) -> String {
    let mut out = String::from(
        "# Facts about models, made by `cargo xtask models`; do not edit. See xtask/src/models.rs for the letters.\n\
         # name context output abilities [e<efforts: 0 none, 1 minimal, 2 low, 3 medium, 4 high, 5 xhigh, 6 max>] [b<budget>]\n",
    );
    let mut makers = BTreeMap::new();
    for (section, price_providers, fact_providers) in SECTIONS {
        let mut rows: BTreeMap<String, Facts> = BTreeMap::new();
        for provider in fact_providers {
            collect_facts(provider, facts, &mut rows);
        }
        for provider in price_providers {
            collect_prices(provider, prices, &mut rows);
        }
        for facts in rows.values_mut() {
            finish(facts);
        }
        let kept = rows.iter().filter(|(name, facts)| {
            let base = undated(name).and_then(|base| rows.get(base));
            // A dated name that only the prices table knows says less than the name without the date.
            let repeats = base.is_some_and(|base| base == *facts || !facts.described);
            let maker = makers.get(name.rsplit('/').next().unwrap_or(name));
            !facts.abilities.is_empty() && !repeats && (section.is_empty() || maker != Some(*facts))
        });
        if !section.is_empty() {
            // Writing to a String cannot fail.
            writeln!(out, "[{section}]").ok();
        }
        for (name, facts) in kept {
            write_row(name, facts, &mut out);
        }
        if section.is_empty() {
            makers = rows;
        }
    }
    out
}

fn write_row(name: &str, facts: &Facts, out: &mut String) {
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let letters: String = LETTERS
        .chars()
        .filter_map(|letter| {
            let has = facts.abilities.get(&letter)?;
            Some(if *has { letter } else { letter.to_ascii_lowercase() })
        })
        .collect();
    let letters = if letters.is_empty() { "-" } else { &letters };
    write!(out, "{name} {} {} {letters}", number(facts.context), number(facts.output)).ok();
    if !facts.efforts.is_empty() {
        let efforts: String = facts.efforts.iter().map(ToString::to_string).collect();
        write!(out, " e{efforts}").ok();
    }
    if let Some((least, most)) = facts.budget {
        write!(out, " b{least}-{}", most.map_or(String::new(), |most| most.to_string())).ok();
    }
    out.push('\n');
}

/// Fireworks writes `accounts/fireworks/models/NAME`.
fn short(provider: &str, name: String) -> String {
    if provider.starts_with("fireworks") { name.rsplit('/').next().unwrap_or(&name).to_owned() } else { name }
}

fn set(facts: &mut Facts, letter: char, value: Option<bool>) {
    if let Some(value) = value {
        facts.abilities.insert(letter, value);
    }
}

/// An ability counts if either table knows of it; it is missing only if none does and one says so.
fn either(facts: &mut Facts, letter: char, value: Option<bool>) {
    if value == Some(true) || !facts.abilities.contains_key(&letter) {
        set(facts, letter, value);
    }
}

fn collect_facts(provider: &str, all: &Map<String, Value>, rows: &mut BTreeMap<String, Facts>) {
    let Some(models) = all.get(provider).and_then(Value::as_object) else { return };
    for (name, model) in models {
        let base = model.get("base_model").and_then(Value::as_str).and_then(|base| {
            let (provider, name) = base.split_once('/')?;
            all.get(provider)?.get(name)
        });
        let field = |path: &[&str]| {
            let find = |value: &Value| path.iter().try_fold(value, |value, key| value.get(key)).cloned();
            find(model).or_else(|| base.and_then(find))
        };
        let input = field(&["modalities", "input"]);
        if field(&["modalities", "output"]).is_some_and(|output| !has(&output, "text")) {
            continue;
        }
        let facts = rows.entry(short(provider, name.to_lowercase())).or_default();
        let size = |path: &[&str]| field(path).and_then(|value| value.as_u64()).filter(|&value| value > 0);
        facts.described = true;
        facts.context = size(&["limit", "context"]).or(facts.context);
        facts.output = size(&["limit", "output"]).or(facts.output);
        for (letter, word) in [('I', "image"), ('D', "pdf"), ('A', "audio"), ('V', "video")] {
            set(facts, letter, input.as_ref().map(|input| has(input, word)));
        }
        let flag = |name: &str| field(&[name]).and_then(|value| value.as_bool());
        set(facts, 'T', flag("tool_call"));
        set(facts, 'S', flag("structured_output"));
        set(facts, 'R', flag("reasoning"));
        set(facts, 'P', flag("temperature"));
        collect_reasoning(&field(&["reasoning_options"]).unwrap_or_default(), facts);
    }
}

fn has(list: &Value, word: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|item| item == word))
}

fn collect_reasoning(options: &Value, facts: &mut Facts) {
    for option in options.as_array().into_iter().flatten() {
        match option.get("type").and_then(Value::as_str) {
            Some("toggle") => set(facts, 'O', Some(true)),
            Some("effort") => set_efforts(option.get("values"), facts),
            Some("budget_tokens") => {
                let least = option.get("min").and_then(Value::as_i64).unwrap_or(0);
                facts.budget = Some((least, option.get("max").and_then(Value::as_i64)));
                // A budget of 0 is off; so is leaving `thinking` out on Messages.
                if least <= 0 || least == 1024 {
                    set(facts, 'O', Some(true));
                }
            }
            _ => {}
        }
    }
}

fn set_efforts(values: Option<&Value>, facts: &mut Facts) {
    let mut known: Vec<usize> = values
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|value| EFFORTS.iter().position(|effort| value == effort))
        .collect();
    known.sort_unstable();
    if !known.is_empty() {
        facts.efforts = known;
    }
}

fn collect_prices(provider: &str, all: &Map<String, Value>, rows: &mut BTreeMap<String, Facts>) {
    for (key, model) in all {
        let text = |name: &str| model.get(name).and_then(Value::as_str);
        let is_chat = matches!(text("mode"), Some("chat" | "responses"));
        if text("litellm_provider") != Some(provider) || !is_chat {
            continue;
        }
        let name = key.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key).to_lowercase();
        let name = short(provider, name);
        let known = rows.contains_key(&name);
        let facts = rows.entry(name).or_default();
        let size = |name: &str| model.get(name).and_then(Value::as_u64).filter(|&value| value > 0);
        // This table counts the input alone where the other one counts input and output together.
        facts.context = facts.context.max(size("max_input_tokens"));
        facts.output = size("max_output_tokens").or(facts.output);
        let flag = |name: &str| model.get(format!("supports_{name}")).and_then(Value::as_bool);
        let inputs = model.get("supported_modalities");
        let input = |word: &str| inputs.map(|list| has(list, word));
        either(facts, 'I', flag("vision").or(input("image")));
        either(facts, 'D', flag("pdf_input"));
        either(facts, 'A', flag("audio_input").or(input("audio")));
        either(facts, 'V', flag("video_input").or(input("video")));
        either(facts, 'T', flag("function_calling"));
        // For their own models the makers' rows name every ability; those of hosts leave out what nobody entered.
        let complete = matches!(provider, "openai" | "anthropic" | "gemini" | "mistral");
        either(facts, 'R', flag("reasoning").or((complete && !known).then_some(false)));
        set(facts, 'P', flag("sampling_params"));
        if provider == "anthropic" {
            collect_anthropic(model, facts);
        } else {
            either(facts, 'S', flag("response_schema"));
        }
        set_efforts(model.get("reasoning_effort_levels"), facts);
        let described = facts.described && !facts.efforts.is_empty();
        adjust(facts, 0, flag("none_reasoning_effort"));
        // The table claims `minimal` for whole families; the other one is right about single models.
        adjust(facts, 1, flag("minimal_reasoning_effort").filter(|has| !(described && *has)));
        adjust(facts, 2, flag("low_reasoning_effort"));
        adjust(facts, 5, flag("xhigh_reasoning_effort"));
        adjust(facts, 6, flag("max_reasoning_effort"));
        if model.get("thinking_always_on").and_then(Value::as_bool) == Some(true) {
            set(facts, 'O', Some(false));
        }
    }
}

/// Adds or removes one effort. Of a model whose efforts are not known, the usual three are assumed first.
fn adjust(facts: &mut Facts, effort: usize, has: Option<bool>) {
    let Some(has) = has else { return };
    if facts.efforts.is_empty() {
        facts.efforts = vec![2, 3, 4];
    }
    facts.efforts.retain(|known| *known != effort);
    if has {
        facts.efforts.push(effort);
        facts.efforts.sort_unstable();
    }
}

fn collect_anthropic(model: &Value, facts: &mut Facts) {
    let flag = |name: &str| model.get(format!("supports_{name}")).and_then(Value::as_bool);
    set(facts, 'S', Some(flag("native_structured_output") == Some(true)));
    set(facts, 'F', flag("assistant_prefill"));
    set(facts, 'U', flag("forced_tool_use"));
    set(facts, 'X', flag("speed").or(flag("fast_mode")));
    if flag("reasoning") == Some(true) {
        let adaptive = flag("adaptive_thinking") == Some(true);
        set(facts, 'K', Some(adaptive));
        set(facts, 'B', Some(!adaptive || flag("legacy_thinking") == Some(true)));
        set(facts, 'O', Some(true));
        if flag("output_config") == Some(true) && facts.efforts.is_empty() {
            facts.efforts = vec![2, 3, 4];
        }
    }
}

/// Draws the conclusions that need all facts together.
fn finish(facts: &mut Facts) {
    if facts.abilities.get(&'R') != Some(&true) {
        facts.efforts.clear();
        facts.budget = None;
        facts.abilities.remove(&'O');
        return;
    }
    if facts.efforts.contains(&0) {
        set(facts, 'O', Some(true));
    }
    if !facts.efforts.is_empty() && !facts.abilities.contains_key(&'O') {
        set(facts, 'O', Some(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tables_become_one_row() {
        let prices = serde_json::json!({
            "m-1": { "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 90, "max_output_tokens": 20,
                     "supports_pdf_input": true, "supports_reasoning": true, "supports_none_reasoning_effort": true },
            "m-1-2025-01-01": { "litellm_provider": "openai", "mode": "embedding" },
        });
        let facts = serde_json::json!({ "openai": { "m-1": {
            "modalities": { "input": ["text", "image"], "output": ["text"] },
            "limit": { "context": 100, "output": 10 }, "temperature": false, "tool_call": true, "reasoning": true,
            "reasoning_options": [{ "type": "effort", "values": ["low", "high"] }],
        } } });
        let text = table(prices.as_object().unwrap(), facts.as_object().unwrap());
        assert!(text.contains("\nm-1 100 20 IDavTRpO e024\n"), "{text}");
        assert!(!text.contains("m-1-2025"));
    }
}
