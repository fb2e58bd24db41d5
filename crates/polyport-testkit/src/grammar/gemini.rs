//! `generateContent` and `streamGenerateContent` as Google's libraries and gemini-cli read them.

use serde_json::Value;

use super::sse::Frames;
use super::{Check, Choice, Failure, Summary, ToolCall, Usage};
use super::{count, count_or_zero, ensure, filled, given, list, object, only, short, text};

const FINISH: [&str; 26] = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "CONTINUATION",
    "MODEL_ARMOR",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
    "TOO_MANY_TOKENS",
    "CANCELLED",
];
const CHUNK: [&str; 7] =
    ["candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId", "createTime", "modelStatus"];
const DATA: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

pub(super) fn stream(stream: &Frames<'_>, check: &Check) -> Result<Summary, String> {
    let mut reader = Reader { strict: check.strict, summary: Summary::default() };
    for (number, frame) in stream.frames.iter().enumerate() {
        let in_event = |e| format!("event {number}: {e}");
        let chunk = serde_json::from_str(frame.data).map_err(|e| in_event(format!("no JSON: {e}")))?;
        reader.chunk(&chunk).map_err(in_event)?;
    }
    reader.finish()
}

pub(super) fn array(bytes: &[u8], check: &Check) -> Result<Summary, String> {
    let body: Value = serde_json::from_slice(bytes).map_err(|e| format!("the body is no JSON: {e}"))?;
    let Some(chunks) = body.as_array() else { return Err("the body is no array".to_owned()) };
    let mut reader = Reader { strict: check.strict, summary: Summary::default() };
    for (number, chunk) in chunks.iter().enumerate() {
        reader.chunk(chunk).map_err(|e| format!("element {number}: {e}"))?;
    }
    reader.finish()
}

pub(super) fn answer(body: &Value, check: &Check) -> Result<Summary, String> {
    let mut reader = Reader { strict: check.strict, summary: Summary::default() };
    reader.chunk(body)?;
    ensure(reader.summary.failure.is_none(), || "an error with status 200".to_owned())?;
    reader.finish()
}

struct Reader {
    strict: bool,
    summary: Summary,
}

impl Reader {
    fn chunk(&mut self, chunk: &Value) -> Result<(), String> {
        ensure(chunk.is_object(), || "a chunk that is no object".to_owned())?;
        ensure(self.summary.failure.is_none(), || "a chunk after an error".to_owned())?;
        self.summary.events += 1;
        if chunk.get("error").is_some() {
            self.summary.failure = Some(failure(chunk)?);
            return Ok(());
        }
        if self.strict {
            only(chunk, &CHUNK)?;
            filled(chunk, "responseId")?;
            filled(chunk, "modelVersion")?;
        }
        for (name, kept) in [("responseId", &mut self.summary.id), ("modelVersion", &mut self.summary.model)] {
            if given(chunk, name) {
                let now = filled(chunk, name)?;
                if kept.is_empty() {
                    now.clone_into(kept);
                }
                ensure(kept == now, || format!("`{name}` changes from {kept} to {now}"))?;
            }
        }
        if given(chunk, "usageMetadata") {
            let found = object(chunk, "usageMetadata")?;
            // Vertex sends the kind of traffic alone until the end.
            if given(found, "totalTokenCount") || self.strict {
                self.summary.usage = Some(usage(found, self.strict)?);
            }
        }
        if let Some(reason) = chunk.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
            self.summary.blocked = Some(reason.to_owned());
        }
        if chunk.get("candidates").is_some() {
            list(chunk, "candidates")?.iter().try_for_each(|candidate| self.candidate(candidate))?;
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: &Value) -> Result<(), String> {
        let index = count_or_zero(candidate, "index")?;
        let known = u64::try_from(self.summary.choices.len()).unwrap_or(u64::MAX);
        ensure(index <= known || !self.strict, || format!("candidate index {index} leaves a gap"))?;
        let strict = self.strict;
        let into = self.summary.choice(index);
        let over = into.finish.is_some();
        if given(candidate, "content") {
            let content = object(candidate, "content")?;
            if strict {
                only(content, &["role", "parts"])?;
                ensure(text(content, "role")? == "model", || "a role other than model".to_owned())?;
            }
            let parts = if given(content, "parts") { list(content, "parts")? } else { &[] };
            ensure(!over || parts.is_empty() || !strict, || "parts after finishReason".to_owned())?;
            parts.iter().try_for_each(|one| part(one, into, strict))?;
        }
        if given(candidate, "finishReason") {
            let reason = filled(candidate, "finishReason")?;
            ensure(!over || !strict, || "a second finishReason".to_owned())?;
            ensure(FINISH.contains(&reason) || !strict, || format!("unknown finishReason `{reason}`"))?;
            into.finish = Some(reason.to_owned());
        }
        let chunks = candidate.pointer("/groundingMetadata/groundingChunks").and_then(Value::as_array);
        let citations = candidate.pointer("/citationMetadata/citations").and_then(Value::as_array);
        into.citations.extend(chunks.into_iter().chain(citations).flatten().cloned());
        Ok(())
    }

    fn finish(mut self) -> Result<Summary, String> {
        self.summary.choices.sort_by_key(|choice| choice.index);
        let summary = self.summary;
        if summary.failure.is_some() || (summary.blocked.is_some() && summary.choices.is_empty()) {
            return Ok(summary);
        }
        ensure(!summary.choices.is_empty(), || "the stream ends without a candidate".to_owned())?;
        let open = summary.choices.iter().find(|choice| choice.finish.is_none());
        ensure(open.is_none(), || format!("candidate {} ends without finishReason", open.map_or(0, |c| c.index)))?;
        Ok(summary)
    }
}

fn part(part: &Value, into: &mut Choice, strict: bool) -> Result<(), String> {
    let data: Vec<&str> = DATA.into_iter().filter(|name| part.get(*name).is_some()).collect();
    ensure(data.len() == 1 || (!strict && data.len() <= 1), || format!("a part with {data:?}: {}", short(part)))?;
    let thought = part.get("thought").is_some_and(|thought| *thought == Value::Bool(true));
    match data.first().copied().unwrap_or_default() {
        "text" if thought => into.add_reasoning(text(part, "text")?),
        "text" => into.add_text(text(part, "text")?),
        "functionCall" => call(object(part, "functionCall")?, into, strict)?,
        "inlineData" => {
            let blob = object(part, "inlineData")?;
            into.add_media(filled(blob, "mimeType")?, filled(blob, "data")?);
        }
        other => into.add_special(other),
    }
    if given(part, "thoughtSignature") {
        let signature = filled(part, "thoughtSignature")?;
        let good = signature.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=-_".contains(&b));
        ensure(good, || "thoughtSignature is no base64".to_owned())?;
        if thought || text(part, "text").is_ok_and(str::is_empty) {
            into.note("reasoning");
        }
        into.signatures.push(signature.to_owned());
    }
    Ok(())
}

fn call(call: &Value, into: &mut Choice, strict: bool) -> Result<(), String> {
    if strict {
        only(call, &["id", "name", "args"])?;
        object(call, "args")?;
    } else if !given(call, "name") {
        // A piece of a call whose arguments stream.
        return Ok(());
    }
    let id = if given(call, "id") { filled(call, "id")? } else { "" };
    let again = !id.is_empty() && into.tool_calls.iter().any(|known| known.id == id);
    ensure(!again, || format!("function call id `{id}` comes twice"))?;
    let arguments = call.get("args").map_or_else(|| "{}".to_owned(), Value::to_string);
    into.add_call(ToolCall { id: id.to_owned(), name: filled(call, "name")?.to_owned(), arguments, custom: false });
    Ok(())
}

fn usage(usage: &Value, strict: bool) -> Result<Usage, String> {
    let zero = |name: &str| count_or_zero(usage, name);
    let (prompt, answer, thoughts, tools) = (
        zero("promptTokenCount")?,
        zero("candidatesTokenCount")?,
        zero("thoughtsTokenCount")?,
        zero("toolUsePromptTokenCount")?,
    );
    let total = if strict { count(usage, "totalTokenCount")? } else { zero("totalTokenCount")? };
    let sum = prompt + answer + thoughts + tools;
    ensure(!strict || total == sum, || format!("usage does not add up to {sum}: {}", short(usage)))?;
    Ok(Usage {
        input: prompt + tools,
        output: answer + thoughts,
        cache_read: zero("cachedContentTokenCount")?,
        cache_write: 0,
        reasoning: thoughts,
    })
}

pub(super) fn failure(body: &Value) -> Result<Failure, String> {
    let error = object(body, "error")?;
    let code = count(error, "code")?;
    ensure((400..600).contains(&code), || format!("error code {code}"))?;
    let status = filled(error, "status")?;
    let named = status.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    ensure(named, || format!("error status `{status}`"))?;
    Ok(Failure { kind: status.to_owned(), code: code.to_string(), message: filled(error, "message")?.to_owned() })
}
