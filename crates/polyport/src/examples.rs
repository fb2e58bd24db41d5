//! An example for every command, for its help text, its manual page and the reference.

use clap::Command;

/// Command and examples. A test parses each of them, and finds that no command is without one.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("serve", &["polyport serve --config polyport.yaml", "polyport serve --host 0.0.0.0 --port 8080"]),
    ("record", &["polyport record session.jsonl --config polyport.yaml"]),
    (
        "replay",
        &[
            "polyport replay session.jsonl --print-config > polyport.yaml",
            "polyport replay session.jsonl --pace fast --listen 127.0.0.1:7700",
        ],
    ),
    (
        "conform",
        &[
            "polyport conform --self",
            "polyport conform --target http://127.0.0.1:4000 --key sk-local --model gpt-5 --upstream-listen 127.0.0.1:9100",
        ],
    ),
    (
        "diff",
        &[
            "polyport diff session.jsonl --with old.yaml --with new.yaml",
            "polyport diff session.jsonl --against ./polyport-before",
        ],
    ),
    ("check", &["polyport check --config polyport.yaml"]),
    ("status", &["polyport status", "polyport status --url https://gateway.example.com --admin-key $ADMIN_TOKEN"]),
    ("health", &["polyport health", "polyport health --live --url http://127.0.0.1:7659"]),
    ("models", &["polyport models"]),
    ("models list", &["polyport models list --search claude"]),
    ("models create", &["polyport models create --route-key gpt-4 --target-model gpt-5 --provider openai"]),
    ("providers", &["polyport providers"]),
    ("providers list", &["polyport providers list --where state=ready"]),
    ("providers show", &["polyport providers show openai"]),
    (
        "providers add",
        &[
            "polyport providers add deepseek --preset deepseek --api-key env:DEEPSEEK_API_KEY",
            "polyport providers add local --base-url http://127.0.0.1:8080/v1 --set profile=llama-cpp",
        ],
    ),
    ("providers set", &["polyport providers set local --set timeouts.first_byte=5m"]),
    ("providers remove", &["polyport providers remove local"]),
    ("providers enable", &["polyport providers enable openai"]),
    ("providers disable", &["polyport providers disable openai"]),
    (
        "providers try",
        &[
            "polyport providers try openai --model gpt-5-mini",
            "polyport providers try --preset deepseek --api-key env:DEEPSEEK_API_KEY",
        ],
    ),
    ("providers models", &["polyport providers models openai"]),
    ("providers learned", &["polyport providers learned local"]),
    ("providers forget", &["polyport providers forget local"]),
    ("providers presets", &["polyport providers presets"]),
    ("credentials", &["polyport credentials"]),
    ("credentials list", &["polyport credentials list --where provider=openai --where state=cooling"]),
    ("credentials show", &["polyport credentials show openai/main"]),
    (
        "credentials add",
        &[
            "polyport credentials add openai --api-key env:KEY_B --weight 2",
            "pass show openai | polyport credentials add openai --api-key -",
        ],
    ),
    ("credentials set", &["polyport credentials set openai/main --set pace=60/m"]),
    ("credentials remove", &["polyport credentials remove openai/main"]),
    ("credentials enable", &["polyport credentials enable openai/main"]),
    ("credentials disable", &["polyport credentials disable openai/main"]),
    ("credentials import", &["polyport credentials import keys.txt --provider openai"]),
    ("credentials refresh", &["polyport credentials refresh antigravity/first"]),
    ("credentials probe", &["polyport credentials probe openai/main"]),
    ("credentials quota", &["polyport credentials quota antigravity/first"]),
    ("credentials revive", &["polyport credentials revive openai/main"]),
    ("credentials health", &["polyport credentials health"]),
    ("credentials statistics", &["polyport credentials statistics"]),
    ("credentials ready", &["polyport credentials ready"]),
    ("pools", &["polyport pools"]),
    ("pools list", &["polyport pools list --where tier=normal"]),
    ("pools show", &["polyport pools show sonnet"]),
    ("pools add", &["polyport pools add sonnet --tier normal --target claude/claude-sonnet-5 --target openai/gpt-5"]),
    (
        "pools preview",
        &[
            "polyport pools preview sonnet --turns 20",
            "polyport pools preview --target claude/claude-sonnet-5 --target openai/gpt-5 --strategy ordered",
        ],
    ),
    ("pools set", &["polyport pools set sonnet --set strategy=ordered"]),
    ("pools remove", &["polyport pools remove sonnet"]),
    ("pools enable", &["polyport pools enable sonnet"]),
    ("pools disable", &["polyport pools disable sonnet"]),
    ("routes", &["polyport routes"]),
    ("routes list", &["polyport routes list --where to=openai"]),
    ("routes show", &["polyport routes show night"]),
    ("routes add", &["polyport routes add --name night --header x-team:batch-* --to haiku"]),
    ("routes set", &["polyport routes set night --set priority=5"]),
    ("routes remove", &["polyport routes remove night"]),
    ("routes enable", &["polyport routes enable night"]),
    ("routes disable", &["polyport routes disable night"]),
    ("explain", &["polyport explain sonnet --protocol messages", "polyport explain gpt-5 --body request.json"]),
    ("keys", &["polyport keys"]),
    ("keys list", &["polyport keys list --where user=ada"]),
    ("keys show", &["polyport keys show laptop"]),
    (
        "keys add",
        &[
            "polyport keys add laptop --user ada --model 'gpt-*' --expires 90d",
            "polyport keys add --provider openai --api-key env:KEY_B",
        ],
    ),
    ("keys set", &["polyport keys set laptop --set 'protocols=[messages]'"]),
    ("keys remove", &["polyport keys remove laptop"]),
    ("keys enable", &["polyport keys enable laptop"]),
    ("keys disable", &["polyport keys disable laptop"]),
    ("keys rotate", &["polyport keys rotate laptop --overlap 3600"]),
    ("users", &["polyport users"]),
    ("users list", &["polyport users list --where team=blue"]),
    ("users show", &["polyport users show ada"]),
    ("users add", &["polyport users add ada --team blue --role manager"]),
    ("users set", &["polyport users set ada --set 'limits=[{what: requests, window: day, amount: 1000}]'"]),
    ("users remove", &["polyport users remove ada"]),
    ("users enable", &["polyport users enable ada"]),
    ("users disable", &["polyport users disable ada"]),
    (
        "users set-password",
        &["polyport users set-password ada --generate", "polyport users set-password ada < password.txt"],
    ),
    ("users sign-out", &["polyport users sign-out ada"]),
    ("users forget", &["polyport users forget ada"]),
    ("teams", &["polyport teams"]),
    ("teams list", &["polyport teams list"]),
    ("teams show", &["polyport teams show blue"]),
    ("teams add", &["polyport teams add blue --set 'models=[gpt-*, sonnet]'"]),
    ("teams set", &["polyport teams set blue --set 'limits=[{what: money, window: month, amount: 200}]'"]),
    ("teams remove", &["polyport teams remove blue"]),
    ("teams enable", &["polyport teams enable blue"]),
    ("teams disable", &["polyport teams disable blue"]),
    ("quotas", &["polyport quotas --where what=money"]),
    (
        "usage",
        &["polyport usage --by model --since 7d --sort cost", "polyport usage --period hour --series --since 1d"],
    ),
    (
        "usage overview",
        &["polyport usage overview --since 7d", "polyport usage overview --step hour --provider openai --json"],
    ),
    ("usage live", &["polyport usage live"]),
    ("stats", &["polyport stats requests"]),
    ("stats requests", &["polyport stats requests --since 7d"]),
    ("stats keys", &["polyport stats keys"]),
    ("logs", &["polyport logs --failed --since 2h"]),
    ("logs list", &["polyport logs list --model gpt-5 --status 5xx"]),
    ("logs show", &["polyport logs show req_FdeZz5Zpaym40c16VUv1uKcS"]),
    ("logs export", &["polyport logs export --format csv --since 30d --to october.csv"]),
    ("logs follow", &["polyport logs follow --failed"]),
    ("ledger", &["polyport ledger --provider openai --since 1d"]),
    ("audit", &["polyport audit --where actor=ada"]),
    ("prices", &["polyport prices --where provider=openai --search gpt-5"]),
    ("problems", &["polyport problems"]),
    (
        "import",
        &[
            "polyport import litellm/config.yaml",
            "polyport import one-api.db --write",
            "polyport import ~/.cli-proxy-api config.yaml --as cli-proxy-api",
        ],
    ),
    ("notifications", &["polyport notifications", "polyport notifications test chat"]),
    ("notifications list", &["polyport notifications list --where outcome=failed"]),
    ("notifications test", &["polyport notifications test chat"]),
    ("settings", &["polyport settings", "polyport settings set limits.requests=500"]),
    ("settings list", &["polyport settings list limits", "polyport settings list --all"]),
    (
        "settings set",
        &[
            "polyport settings set accounting.keep.requests=90d sticky=false",
            "polyport settings set limits.requests=null",
        ],
    ),
    ("settings configuration", &["polyport settings configuration"]),
    ("export", &["polyport export definitions.json"]),
    (
        "launch",
        &[
            "polyport launch claude",
            "polyport launch claude --model qwen3-coder -- -p 'What does this project do?'",
            "polyport launch codex --serve",
        ],
    ),
    ("connect", &["polyport connect", "polyport connect codex --write", "polyport connect codex --undo"]),
    ("backup", &["polyport backup polyport-backup.db --log log-backup.db"]),
    ("restore", &["polyport restore polyport-backup.db"]),
    ("store", &["polyport store rotate-key"]),
    ("store rotate-key", &["POLYPORT_NEW_MASTER_KEY=$(openssl rand -base64 32) polyport store rotate-key"]),
    ("api", &["polyport api GET 'requests?limit=1'", "polyport api POST explain '{\"model\": \"gpt-5\"}'"]),
    ("schema", &["polyport schema > polyport.schema.json"]),
    ("completions", &["polyport completions bash > /etc/bash_completion.d/polyport"]),
    ("man", &["polyport man /usr/local/share/man/man1"]),
];

/// Puts the examples below the help texts.
pub(crate) fn add_to(command: Command) -> Command {
    below(command, "")
}

fn below(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|known| known.get_name().to_owned()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(name, |known| below(known, &path));
    }
    match EXAMPLES.iter().find(|(known, _)| *known == path) {
        Some((_, examples)) => {
            let word = if examples.len() == 1 { "Example" } else { "Examples" };
            command.after_help(format!("{word}:\n  {}", examples.join("\n  ")))
        }
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;

    /// The words of a line, as a shell takes them apart.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
        for c in line.chars() {
            match c {
                '\'' => {
                    quoted = !quoted;
                    any = true;
                }
                ' ' if !quoted => {
                    if any {
                        words.push(std::mem::take(&mut word));
                    }
                    any = false;
                }
                c => {
                    word.push(c);
                    any = true;
                }
            }
        }
        if any {
            words.push(word);
        }
        words
    }

    #[test]
    fn every_command_has_an_example_that_it_understands() {
        fn visit(command: &Command, path: &str, all: &mut Vec<String>) {
            for known in command.get_subcommands().filter(|known| known.get_name() != "help") {
                let path = format!("{path} {}", known.get_name()).trim().to_owned();
                visit(known, &path, all);
                all.push(path);
            }
        }
        let mut commands = Vec::new();
        visit(&Args::command(), "", &mut commands);
        for command in &commands {
            let found = EXAMPLES.iter().find(|(known, _)| known == command);
            let (_, examples) = found.unwrap_or_else(|| panic!("`{command}` has no example"));
            for example in *examples {
                let line = example.split_once("polyport ").unwrap().1;
                let line = line.split(['<', '>']).next().unwrap();
                let words = words(line);
                assert!(words.join(" ").starts_with(command), "{example}");
                let parsed =
                    Args::documented().try_get_matches_from(std::iter::once("polyport".to_owned()).chain(words));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
        }
        assert_eq!(commands.len(), EXAMPLES.len(), "an example of no command");
    }
}
