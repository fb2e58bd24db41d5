//! The cases: what the upstream does, what is asked, and what has to come of it.

use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Answer as Said, Cut, Exchange, Step, Tokens};
use polyport_types::{ClientProtocol, Protocol};

use super::request::{Ask, PICTURE, RESULT, arguments, city};
use crate::child::Answer;

/// One case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Text,
    LongText,
    ToolCall,
    ToolCalls,
    ToolResult,
    Picture,
    Reasoning,
    Usage,
    UsageNotAsked,
    CutOff,
    Garbage,
    ErrorInStream,
    Refused(u16),
    Malformed,
    UnknownModel,
    WrongKey,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed(String),
    NotApplicable(String),
}

/// Statuses that upstreams refuse with. Those that concern the key come last: a gateway may put it aside.
const REFUSALS: [u16; 6] = [400, 404, 500, 503, 429, 401];

impl Case {
    /// All of them, in the order in which they are tried.
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Text,
            Self::LongText,
            Self::ToolCall,
            Self::ToolCalls,
            Self::ToolResult,
            Self::Picture,
            Self::Reasoning,
            Self::Usage,
            Self::UsageNotAsked,
            Self::Malformed,
            Self::UnknownModel,
            Self::WrongKey,
            Self::CutOff,
            Self::Garbage,
            Self::ErrorInStream,
        ];
        all.extend(REFUSALS.map(Self::Refused));
        all
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Text => "text",
            Self::LongText => "long text in small pieces",
            Self::ToolCall => "tool call",
            Self::ToolCalls => "two tool calls",
            Self::ToolResult => "tool result",
            Self::Picture => "picture",
            Self::Reasoning => "reasoning",
            Self::Usage => "usage",
            Self::UsageNotAsked => "usage not asked for",
            Self::CutOff => "upstream breaks off",
            Self::Garbage => "upstream answers HTML",
            Self::ErrorInStream => "upstream fails in the stream",
            Self::Refused(status) => return format!("upstream refuses with {status}"),
            Self::Malformed => "malformed request",
            Self::UnknownModel => "unknown model",
            Self::WrongKey => "wrong key",
        }
        .to_owned()
    }

    /// Why there is nothing to try.
    pub(super) fn not_here(self, client: ClientProtocol, stream: bool, has_key: bool) -> Option<&'static str> {
        match self {
            Self::UsageNotAsked if client != ClientProtocol::Chat || !stream => {
                Some("only streams of Chat leave it out")
            }
            Self::ErrorInStream if !stream => Some("only in a stream"),
            Self::WrongKey if !has_key => Some("no key is needed"),
            _ => None,
        }
    }

    /// A word for a case that may put a key aside: Polyport's own configuration has a provider for each.
    pub(super) fn apart(self, stream: bool) -> Option<String> {
        let word = match self {
            Self::Refused(status) => Some(format!("refused{status}")),
            Self::CutOff => Some("cutoff".to_owned()),
            Self::Garbage => Some("garbage".to_owned()),
            Self::ErrorInStream => Some("errorinstream".to_owned()),
            _ => None,
        };
        word.map(|word| if stream { format!("{word}-streamed") } else { word })
    }

    pub(super) fn ask(self, stream: bool) -> Ask {
        let ask = |words: &str| Ask::words(words, stream);
        match self {
            Self::ToolCall | Self::ToolCalls => Ask { tools: true, ..ask("What is the weather in Zürich?") },
            Self::ToolResult => Ask { tools: true, results: true, ..ask("What is the weather in Zürich?") },
            Self::Picture => Ask { picture: true, ..ask("What is this?") },
            Self::Reasoning => Ask { reasoning: true, ..ask("Think first.") },
            Self::UsageNotAsked => Ask { usage: false, ..ask("count to 12") },
            _ => ask("count to 12"),
        }
    }

    /// What the upstream does.
    pub(super) fn step(self, stream: bool) -> Step {
        match self {
            Self::LongText => Step::text(&long()).drip(17),
            Self::ToolCall => Step::tool("weather", &arguments()),
            Self::ToolCalls => {
                Step::answer(Said::default().tool("weather", &arguments()).tool("weather", r#"{"city":"Bern"}"#))
            }
            Self::Reasoning => Step::answer(Said::default().reasoning("Let me think.").text("done")),
            Self::Usage => Step::answer(Said::default().text("counted").usage(TOKENS)),
            Self::CutOff if stream => Step::model().cut_in_the_middle(Cut::Close),
            Self::CutOff => Step::model().cut_after_bytes(40, Cut::Close),
            Self::Garbage => Step::html(200),
            Self::ErrorInStream => Step::answer(Said::default().text("one two three").error("the model failed")),
            Self::Refused(status) => Step::error(status, "refused for the test"),
            _ => Step::model(),
        }
    }

    /// Judges what came back, and what the upstream got.
    pub(super) fn judge(
        self,
        client: ClientProtocol,
        stream: bool,
        answer: &Answer,
        asked: Option<(&Exchange, Protocol)>,
    ) -> Verdict {
        let result = match self {
            Self::Malformed | Self::UnknownModel | Self::WrongKey | Self::Refused(_) => self.refused(client, answer),
            Self::CutOff | Self::Garbage | Self::ErrorInStream => broken(client, stream, answer),
            _ => self.answered(client, stream, answer, asked),
        };
        match (result, asked) {
            (Ok(()), None) if matches!(self, Self::Refused(_) | Self::CutOff | Self::Garbage | Self::ErrorInStream) => {
                Verdict::NotApplicable("the gateway did not ask the upstream".to_owned())
            }
            (Ok(()), _) => Verdict::Passed,
            (Err(reason), _) => Verdict::Failed(reason),
        }
    }

    fn answered(
        self,
        client: ClientProtocol,
        stream: bool,
        answer: &Answer,
        asked: Option<(&Exchange, Protocol)>,
    ) -> Result<(), String> {
        let upstream = asked.map(|(_, protocol)| protocol);
        let said = read(client, stream, answer, self, upstream)?;
        let Some((exchange, upstream)) = asked else { return Err("answered without asking the upstream".to_owned()) };
        if let Some(first) = exchange.violations().first() {
            return Err(format!("the upstream would refuse the request: {first}"));
        }
        if let Some(failure) = &said.failure {
            return Err(format!("the stream ended with an error: {}", failure.message));
        }
        let expect = |what: &str, expected: &str, found: &str| match expected == found {
            true => Ok(()),
            false => Err(format!("{what}: `{}` instead of `{}`", short(found), short(expected))),
        };
        let finish = match (client, matches!(self, Self::ToolCall | Self::ToolCalls)) {
            (ClientProtocol::Chat, false) => "stop",
            (ClientProtocol::Chat, true) => "tool_calls",
            (ClientProtocol::Responses, _) => "completed",
            (ClientProtocol::Messages, false) => "end_turn",
            (ClientProtocol::Messages, true) => "tool_use",
            (ClientProtocol::Gemini, _) => "STOP",
        };
        expect("finish reason", finish, said.finish())?;
        if client != ClientProtocol::Gemini && said.id.is_empty() {
            return Err("the answer has no id".to_owned());
        }
        match self {
            Self::Text | Self::UsageNotAsked => expect("text", "1 2 3 4 5 6 7 8 9 10 11 12", said.text()),
            Self::LongText => expect("text", &long(), said.text()),
            Self::ToolCall | Self::ToolCalls => calls(self, client, &said),
            Self::ToolResult if !said.text().contains(RESULT) => {
                Err("what the tool said did not reach the upstream".to_owned())
            }
            Self::Picture if !String::from_utf8_lossy(exchange.body()).contains(PICTURE) => {
                Err("the picture did not reach the upstream".to_owned())
            }
            Self::Reasoning => {
                expect("text", "done", said.text())?;
                let shown = said.reasoning();
                if shown.is_empty() { Ok(()) } else { expect("reasoning", "Let me think.", shown) }
            }
            Self::Usage => usage(client, upstream, &said),
            _ => Ok(()),
        }
    }

    /// An error of the client's protocol, with a status that says whose fault it was.
    fn refused(self, client: ClientProtocol, answer: &Answer) -> Result<(), String> {
        let fits = match self {
            Self::Malformed => answer.status == 400,
            Self::UnknownModel => matches!(answer.status, 400 | 403 | 404),
            Self::WrongKey => matches!(answer.status, 401 | 403),
            Self::Refused(400) => answer.status == 400,
            Self::Refused(429) => matches!(answer.status, 429 | 503 | 529),
            Self::Refused(status) if status >= 500 => answer.status >= 500,
            _ => answer.status >= 400,
        };
        if !fits {
            return Err(format!("status {}: {}", answer.status, short(&String::from_utf8_lossy(&answer.body))));
        }
        failure(client, answer)
    }
}

const TOKENS: Tokens = Tokens { input: 100, cache_read: 20, cache_write: 0, output: 30, reasoning: 7 };

fn usage(client: ClientProtocol, upstream: Protocol, said: &Summary) -> Result<(), String> {
    let Some(usage) = &said.usage else { return Err("no usage".to_owned()) };
    let found = (usage.input, usage.output, usage.cache_read);
    let expected = (TOKENS.input + TOKENS.cache_read, TOKENS.output + TOKENS.reasoning, TOKENS.cache_read);
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{upstream} counted {} tokens in ({} of them cached) and {} out; the {client} client is told {}, {} and {}",
        expected.0, expected.2, expected.1, found.0, found.2, found.1
    ))
}

fn calls(case: Case, client: ClientProtocol, said: &Summary) -> Result<(), String> {
    let calls = said.tool_calls();
    let number = if case == Case::ToolCalls { 2 } else { 1 };
    if calls.len() != number {
        return Err(format!("{} tool calls instead of {number}", calls.len()));
    }
    for call in calls {
        if call.name != "weather" {
            return Err(format!("the call names the tool `{}`", call.name));
        }
        if call.id.is_empty() && client != ClientProtocol::Gemini {
            return Err("the call has no id".to_owned());
        }
    }
    match calls {
        [first, ..] if first.json() != city() => Err(format!("arguments: {}", short(&first.arguments))),
        [first, second] if first.id == second.id && !first.id.is_empty() => {
            Err("two calls have the same id".to_owned())
        }
        _ => Ok(()),
    }
}

/// Reads a good answer by the strict rules of its protocol.
fn read(
    client: ClientProtocol,
    stream: bool,
    answer: &Answer,
    case: Case,
    upstream: Option<Protocol>,
) -> Result<Summary, String> {
    if answer.status != 200 {
        return Err(format!("status {}: {}", answer.status, short(&String::from_utf8_lossy(&answer.body))));
    }
    kind(answer, if stream { "text/event-stream" } else { "application/json" })?;
    if !answer.whole {
        return Err("the answer broke off".to_owned());
    }
    let mut check = Check::new(client);
    if upstream == Some(Protocol::from(client)) {
        check = check.vendor();
    }
    if client == ClientProtocol::Chat && stream {
        check = check.include_usage(case != Case::UsageNotAsked);
    }
    if stream { check.stream(&answer.body) } else { check.answer(&answer.body) }
}

/// An upstream that breaks: an error, in the stream or instead of it, never an answer that seems whole.
fn broken(client: ClientProtocol, stream: bool, answer: &Answer) -> Result<(), String> {
    if answer.status != 200 {
        return failure(client, answer);
    }
    if !stream {
        return Err("an answer with status 200".to_owned());
    }
    if !answer.whole {
        // The client notices.
        return Ok(());
    }
    match Check::new(client).vendor().stream(&answer.body) {
        Ok(said) if said.failure.is_some() => Ok(()),
        Ok(_) => Err("the stream ends as if all were well".to_owned()),
        Err(rule) => Err(rule),
    }
}

fn failure(client: ClientProtocol, answer: &Answer) -> Result<(), String> {
    kind(answer, "application/json")?;
    if answer.status < 400 {
        return Err(format!("status {}", answer.status));
    }
    let failure = Check::new(client).failure(&answer.body)?;
    if failure.message.is_empty() { Err("the error has no message".to_owned()) } else { Ok(()) }
}

fn kind(answer: &Answer, expected: &str) -> Result<(), String> {
    let found = answer.header("content-type").unwrap_or_default();
    if found.to_ascii_lowercase().starts_with(expected) {
        Ok(())
    } else {
        Err(format!("content-type `{found}` instead of {expected}"))
    }
}

/// Characters of every length, so that pieces end inside them.
fn long() -> String {
    (1..=200).map(|number| format!("{number} naïve 漢字 🦀 ")).collect::<String>().trim_end().to_owned()
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(160).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
