//! A client's `messages`.

use foldhash::{HashMap, HashMapExt as _};
use polyport_types::{
    Authority, CacheMark, Document, DocumentSource, Extras, Family, Instruction, Media, MediaSource, Message, Part,
    PartKind, PartStatus, Protocol, RawJson, Request, Role, Signature, SignatureKind, Text, TextPart, ToolCall,
    ToolCallKind, ToolResult,
};

use super::decode::{missing, ttl, unsupported};
use crate::DecodeError;
use crate::chat::types::{ChatMessage, ContentPart, ExtraContent, File, ImageUrl, InputAudio, Word, WordOr, filled};
use crate::chat::{annotations, media, reasoning, types};
use crate::json::{self, JsonWriter, OneOrMany, Str};

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];

/// Reads the messages of one request.
pub(super) struct History<'r> {
    body: &'r Text,
    request: &'r mut Request,
    /// Name and sort of the calls so far: results name only the id.
    calls: HashMap<Text, (Text, ToolCallKind)>,
    /// Deprecated `function_call`s that have no result yet: id and name.
    legacy: Vec<(Text, Text)>,
}

impl<'r> History<'r> {
    pub(super) fn new(body: &'r Text, request: &'r mut Request) -> Self {
        Self { body, request, calls: HashMap::new(), legacy: Vec::new() }
    }

    /// Appends instructions and messages to the request.
    ///
    /// # Errors
    /// [`DecodeError`] with the path of the first wrong message.
    pub(super) fn read(mut self, messages: Vec<ChatMessage<'_>>) -> Result<(), DecodeError> {
        for (index, message) in messages.into_iter().enumerate() {
            let path = Path(index);
            match message.role.as_deref() {
                Some("system") => self.instruction(path, message, Authority::System)?,
                Some("developer") => self.instruction(path, message, Authority::Developer)?,
                Some("user") => self.user(path, message)?,
                Some("assistant") => self.assistant(path, message)?,
                Some("tool") => self.tool(path, message)?,
                Some("function") => self.function(path, message)?,
                Some(other) => return Err(unsupported(path.member("role"), other, &ROLES)),
                None => return Err(missing(path.member("role"))),
            }
        }
        Ok(())
    }

    fn push(&mut self, path: Path, role: Role, parts: Vec<Part>, name: Option<Str<'_>>, extra: json::Extra<'_>) {
        let index = u32::try_from(path.0).unwrap_or(u32::MAX);
        let mut message = Message::new(role, index, parts);
        message.name = name.map(|name| name.into_text(self.body));
        message.ext = kept(extra, self.body);
        self.request.messages.push(message);
    }

    fn instruction(&mut self, path: Path, message: ChatMessage<'_>, authority: Authority) -> Result<(), DecodeError> {
        let parts = self.needed_content(path, message.content, message.cache_control.as_ref())?;
        if self.request.messages.is_empty() {
            self.request.instructions.push(Instruction {
                authority,
                parts,
                name: message.name.map(|name| name.into_text(self.body)),
                ext: kept(message.extra, self.body),
            });
        } else {
            let role = match authority {
                Authority::System => Role::System,
                Authority::Developer => Role::Developer,
            };
            self.push(path, role, parts, message.name, message.extra);
        }
        Ok(())
    }

    fn user(&mut self, path: Path, message: ChatMessage<'_>) -> Result<(), DecodeError> {
        let parts = self.needed_content(path, message.content, message.cache_control.as_ref())?;
        self.push(path, Role::User, parts, message.name, message.extra);
        Ok(())
    }

    fn needed_content(
        &self,
        path: Path,
        content: Option<OneOrMany<'_, ContentPart<'_>>>,
        cache: Option<&types::CacheControl<'_>>,
    ) -> Result<Vec<Part>, DecodeError> {
        let content = content.ok_or_else(|| missing(path.member("content")))?;
        let mut parts = self.content(path, content)?;
        mark_last(&mut parts, cache);
        Ok(parts)
    }

    fn content(&self, path: Path, content: OneOrMany<'_, ContentPart<'_>>) -> Result<Vec<Part>, DecodeError> {
        match content {
            OneOrMany::One(text) => Ok(vec![Part::text(text.into_text(self.body))]),
            OneOrMany::Many(parts) => {
                let parts = parts.into_iter().enumerate();
                parts.map(|(at, part)| read_part(&path.part(at), part, self.body)).collect()
            }
        }
    }

    fn assistant(&mut self, path: Path, message: ChatMessage<'_>) -> Result<(), DecodeError> {
        let body = self.body;
        let calls = message.tool_calls.as_deref().unwrap_or_default();
        let thoughts = reasoning::Members {
            details: message.reasoning_details.as_ref(),
            blocks: message.thinking_blocks.as_ref(),
            reasoning_content: &message.reasoning_content,
            reasoning: &message.reasoning,
            calls,
        }
        .read(Family::OpenAi, body);
        let mut parts = thoughts.parts;
        let first_text = parts.len();
        if let Some(content) = message.content {
            parts.extend(self.content(path, content)?);
        }
        if let Some(refusal) = message.refusal.filter(|refusal| !refusal.is_empty()) {
            parts.push(Part::new(PartKind::Refusal(refusal.into_text(body))));
        }
        if let Some(raw) = message.annotations {
            let units = |text: &Text| u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX);
            let citations = annotations::read(raw, body);
            annotations::attach(citations, parts.get_mut(first_text..).unwrap_or_default(), units);
        }
        if let Some(audio) = message.audio {
            parts.extend(spoken(&audio, body));
        }
        mark_last(&mut parts, message.cache_control.as_ref());
        for (at, call) in message.tool_calls.unwrap_or_default().into_iter().enumerate() {
            let part = self.tool_call(&path.call(at), call, &thoughts.calls)?;
            parts.push(part);
        }
        if let Some(call) = message.function_call.filter(|call| filled(&call.name).is_some()) {
            parts.push(self.function_call(path, call));
        }
        if let Some(signature) = message_signature(message.extra_content.as_ref(), &message.thought_signature, body) {
            place_signature(&mut parts, signature);
        }
        self.push(path, Role::Assistant, parts, message.name, message.extra);
        Ok(())
    }

    fn tool_call(
        &mut self,
        path: &str,
        call: types::ToolCall<'_>,
        signatures: &[(Text, Signature)],
    ) -> Result<Part, DecodeError> {
        let body = self.body;
        let id = call.id.filter(|id| !id.is_empty()).ok_or_else(|| missing(format!("{path}.id")))?.0.into_text(body);
        let (kind, member, name, arguments) = match call.kind.as_deref() {
            Some("custom") => {
                let custom = call.custom.ok_or_else(|| missing(format!("{path}.custom")))?;
                let input = custom.input.map(|input| input.0.into_text(body)).unwrap_or_default();
                (ToolCallKind::Custom, "custom", custom.name, input)
            }
            Some("function") | None => {
                let function = call.function.ok_or_else(|| missing(format!("{path}.function")))?;
                (ToolCallKind::Function, "function", function.name, arguments(function.arguments, body))
            }
            Some(other) => return Err(unsupported(format!("{path}.type"), other, &["function", "custom"])),
        };
        let name = name.filter(|name| !name.is_empty()).ok_or_else(|| missing(format!("{path}.{member}.name")))?;
        let name = name.0.into_text(body);
        self.calls.insert(id.clone(), (name.clone(), kind.clone()));
        let signature = call_signature(call.extra_content.as_ref(), body)
            .or_else(|| signatures.iter().find(|(of, _)| *of == id).map(|(_, signature)| signature.clone()));
        let mut part = call_part(id, name, kind, arguments);
        part.signature = signature;
        part.ext = kept(call.extra, body);
        Ok(part)
    }

    fn function_call(&mut self, path: Path, call: types::FunctionCall<'_>) -> Part {
        let id = Text::from(format!("call_fn_{}", path.0));
        let name = call.name.map(|name| name.0.into_text(self.body)).unwrap_or_default();
        self.legacy.push((id.clone(), name.clone()));
        self.calls.insert(id.clone(), (name.clone(), ToolCallKind::Function));
        call_part(id, name, ToolCallKind::Function, arguments(call.arguments, self.body))
    }

    fn tool(&mut self, path: Path, message: ChatMessage<'_>) -> Result<(), DecodeError> {
        let id =
            message.tool_call_id.filter(|id| !id.is_empty()).ok_or_else(|| missing(path.member("tool_call_id")))?;
        let id = id.into_text(self.body);
        let (name, kind) = match self.calls.get(&id) {
            Some((name, kind)) => (Some(name.clone()), kind.clone()),
            None => (None, ToolCallKind::Function),
        };
        let name = message.name.map(|name| name.into_text(self.body)).or(name);
        self.result(path, id, name, kind, message.content, message.cache_control.as_ref(), message.extra)
    }

    /// The deprecated form names the function only: it answers the last open call of that name, else the last open call.
    fn function(&mut self, path: Path, message: ChatMessage<'_>) -> Result<(), DecodeError> {
        let name = message.name.filter(|name| !name.is_empty()).ok_or_else(|| missing(path.member("name")))?;
        let name = name.into_text(self.body);
        let open = self.legacy.iter().rposition(|(_, open)| *open == name);
        let id = match open.or(self.legacy.len().checked_sub(1)) {
            Some(at) => self.legacy.remove(at).0,
            None => Text::from(format!("call_fn_{}", path.0)),
        };
        self.result(path, id, Some(name), ToolCallKind::Function, message.content, None, message.extra)
    }

    #[allow(clippy::too_many_arguments, reason = "the members of one wire message")]
    fn result(
        &mut self,
        path: Path,
        call_id: Text,
        name: Option<Text>,
        kind: ToolCallKind,
        content: Option<OneOrMany<'_, ContentPart<'_>>>,
        cache: Option<&types::CacheControl<'_>>,
        extra: json::Extra<'_>,
    ) -> Result<(), DecodeError> {
        let mut parts = match content {
            Some(content) => self.content(path, content)?,
            None => Vec::new(),
        };
        mark_last(&mut parts, cache);
        let result = ToolResult { call_id, name, kind, parts, structured: None, is_error: false };
        let part = Part::new(PartKind::ToolResult(Box::new(result)));
        self.push(path, Role::Tool, vec![part], None, extra);
        Ok(())
    }
}

/// A cache marker of the whole message belongs to its last part.
fn mark_last(parts: &mut [Part], cache: Option<&types::CacheControl<'_>>) {
    if let (Some(control), Some(last)) = (cache, parts.last_mut()) {
        last.cache = Some(CacheMark { ttl: control.ttl.as_deref().and_then(ttl) });
    }
}

/// Position of a message; its paths are written only when something is wrong.
#[derive(Clone, Copy)]
struct Path(usize);

impl Path {
    fn member(self, name: &str) -> String {
        format!("messages[{}].{name}", self.0)
    }

    fn part(self, at: usize) -> PartPath {
        PartPath(self.0, at)
    }

    fn call(self, at: usize) -> String {
        format!("messages[{}].tool_calls[{at}]", self.0)
    }
}

struct PartPath(usize, usize);

impl PartPath {
    fn member(&self, name: &str) -> String {
        format!("messages[{}].content[{}].{name}", self.0, self.1)
    }
}

fn kept(extra: json::Extra<'_>, body: &Text) -> Extras {
    // What clients echo from answers of a stream means nothing in history.
    let noise = |name: &str| matches!(name, "index" | "tokens");
    let extra = extra.into_iter().filter(|(name, value)| value.get() != "null" && !noise(name)).collect();
    json::extras(extra, body)
}

fn call_part(id: Text, name: Text, kind: ToolCallKind, arguments: Text) -> Part {
    Part::new(PartKind::ToolCall(Box::new(ToolCall {
        id,
        name,
        namespace: None,
        kind,
        arguments,
        caller: None,
        status: PartStatus::Complete,
    })))
}

/// Arguments in history; none at all is the empty object.
fn arguments(json: Option<types::Json<'_>>, body: &Text) -> Text {
    let text = match json {
        None => return Text::from_static("{}"),
        Some(types::Json::Text(text)) => text.into_text(body),
        Some(types::Json::Value(raw)) => json::raw(raw, body).text().clone(),
    };
    if matches!(text.trim(), "" | "null") { Text::from_static("{}") } else { text }
}

/// The signature of one call.
pub(in crate::chat) fn call_signature(extra: Option<&ExtraContent<'_>>, body: &Text) -> Option<Signature> {
    let value = filled(&extra?.google.as_ref()?.thought_signature)?;
    Some(Signature::new(Family::Google, SignatureKind::FunctionCall, value.to_text(body)))
}

/// The signature of a whole message of Google's compatible endpoint.
pub(in crate::chat) fn message_signature(
    extra: Option<&ExtraContent<'_>>,
    older: &Option<Word<'_>>,
    body: &Text,
) -> Option<Signature> {
    let inner = extra.and_then(|extra| extra.google.as_ref()).and_then(|google| filled(&google.thought_signature));
    let value = inner.or(filled(older))?;
    Some(Signature::new(Family::Google, SignatureKind::Part, value.to_text(body)))
}

/// A message-level signature belongs to the answer's text, or to its first call where there is no text.
fn place_signature(parts: &mut Vec<Part>, signature: Signature) {
    let text = parts.iter_mut().rfind(|part| part.as_text().is_some_and(|text| !text.is_empty()));
    if let Some(part) = text {
        part.signature = Some(signature);
    } else if let Some(part) = parts.iter_mut().find(|part| matches!(part.kind, PartKind::ToolCall(_))) {
        part.signature.get_or_insert(Signature { kind: SignatureKind::FunctionCall, ..signature });
    } else {
        parts.push(Part { signature: Some(signature), ..Part::text("") });
    }
}

/// An earlier spoken answer: its id, and its words if the client kept them.
fn spoken(audio: &types::Audio<'_>, body: &Text) -> Option<Part> {
    let text = |word: &Option<Word<'_>>| filled(word).map(|text| text.to_text(body));
    let (id, transcript) = (text(&audio.id), text(&audio.transcript));
    let source = match (text(&audio.data), &id) {
        (Some(data), _) => MediaSource::Base64 { mime: media::mime_of_base64_audio(&data), data },
        (None, Some(id)) => MediaSource::FileId { owner: Protocol::Chat, id: id.clone(), mime: None },
        (None, None) => return None,
    };
    let expires_at = audio.expires_at.map(|at| at.0);
    Some(Part::new(PartKind::Audio(Media { transcript, id, expires_at, ..Media::new(source) })))
}

fn read_part(path: &PartPath, mut part: ContentPart<'_>, body: &Text) -> Result<Part, DecodeError> {
    let cache = match (part.prompt_cache_breakpoint.take(), part.cache_control.take()) {
        (Some(mark), _) => Some(CacheMark { ttl: mark.ttl.as_deref().and_then(ttl) }),
        (None, Some(control)) => Some(CacheMark { ttl: control.ttl.as_deref().and_then(ttl) }),
        (None, None) => None,
    };
    let kind = part.kind.take().ok_or_else(|| missing(path.member("type")))?;
    let (kind, ext) = part_kind(path, &kind, part, body)?;
    Ok(Part { cache, ext, ..Part::new(kind) })
}

fn part_kind(
    path: &PartPath,
    kind: &str,
    mut part: ContentPart<'_>,
    body: &Text,
) -> Result<(PartKind, Extras), DecodeError> {
    let need = |name: &str| missing(path.member(name));
    let extra = if is_known(kind) { std::mem::take(&mut part.extra) } else { Vec::new() };
    let kind = match kind {
        // The words of the Responses protocol are understood as well.
        "text" | "input_text" | "output_text" => {
            let text = part.text.ok_or_else(|| need("text"))?;
            PartKind::Text(TextPart::new(text.into_text(body)))
        }
        "refusal" => {
            let text = part.refusal.ok_or_else(|| need("refusal"))?;
            PartKind::Refusal(text.into_text(body))
        }
        "image_url" => {
            let (url, detail) = url_and_detail(part.image_url.ok_or_else(|| need("image_url"))?);
            let url = url.filter(|url| !url.is_empty()).ok_or_else(|| need("image_url.url"))?;
            let detail = detail.as_deref().and_then(media::detail);
            PartKind::Image(Media { detail, ..Media::new(media::source(&url, body)) })
        }
        "video_url" => {
            let url = url_and_detail(part.video_url.ok_or_else(|| need("video_url"))?).0;
            let url = url.filter(|url| !url.is_empty()).ok_or_else(|| need("video_url.url"))?;
            PartKind::Video(Media::new(media::source(&url, body)))
        }
        "input_audio" => {
            let audio = part.input_audio.ok_or_else(|| need("input_audio"))?;
            PartKind::Audio(Media::new(input_audio(path, audio, body)?))
        }
        "file" => {
            let file = part.file.ok_or_else(|| need("file"))?;
            PartKind::Document(Box::new(read_file(path, file, body)?))
        }
        "document_url" => {
            let url = url_and_detail(part.document_url.ok_or_else(|| need("document_url"))?).0;
            let url = url.filter(|url| !url.is_empty()).ok_or_else(|| need("document_url"))?;
            let name = part.document_name.map(|name| name.into_text(body));
            PartKind::Document(Box::new(document(media::source(&url, body), name)))
        }
        "thinking" => reasoning::full(thinking_text(part.thinking).into()).kind,
        other => {
            let raw = opaque(other, part, body);
            let kind = PartKind::Opaque { protocol: Protocol::Chat, kind: Text::from(other), raw };
            return Ok((kind, Extras::new()));
        }
    };
    Ok((kind, kept(extra, body)))
}

/// Whether a type of content part has a slot; of others everything stays in the wire object.
fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "text"
            | "input_text"
            | "output_text"
            | "refusal"
            | "image_url"
            | "video_url"
            | "input_audio"
            | "file"
            | "document_url"
            | "thinking"
    )
}

fn url_and_detail<'a>(url: WordOr<'a, ImageUrl<'a>>) -> (Option<Str<'a>>, Option<Str<'a>>) {
    match url {
        WordOr::Word(url) => (Some(url), None),
        WordOr::Object(url, _) => (url.url, url.detail),
    }
}

fn input_audio(path: &PartPath, audio: InputAudio<'_>, body: &Text) -> Result<MediaSource, DecodeError> {
    let data = audio.data.ok_or_else(|| missing(path.member("input_audio.data")))?;
    // Some servers want a data URL here, and so do their clients.
    if let Some((mime, inner)) = media::data_url(&data) {
        let mime = audio.format.map_or_else(|| Text::from(mime), |format| media::mime_of_audio(&format));
        return Ok(MediaSource::Base64 { mime, data: media::slice(&data, inner, body) });
    }
    if data.starts_with("https://") || data.starts_with("http://") {
        return Ok(MediaSource::Url {
            mime: audio.format.map(|f| media::mime_of_audio(&f)),
            url: data.into_text(body),
        });
    }
    let format = audio.format.ok_or_else(|| missing(path.member("input_audio.format")))?;
    Ok(MediaSource::Base64 { mime: media::mime_of_audio(&format), data: data.into_text(body) })
}

fn document(source: MediaSource, filename: Option<Text>) -> Document {
    Document {
        source: DocumentSource::File(source),
        filename,
        title: None,
        context: None,
        citations: None,
        detail: None,
    }
}

fn read_file(path: &PartPath, file: File<'_>, body: &Text) -> Result<Document, DecodeError> {
    let name = file.filename.as_deref();
    let source = match (file.file_data, file.file_id) {
        // Base64 holds no colon: this is an address or a data URL.
        (Some(data), _) if data.contains(':') => media::source(&data, body),
        (Some(data), _) => {
            MediaSource::Base64 { mime: Text::from_static(media::mime_of_file(name)), data: data.into_text(body) }
        }
        (None, Some(id)) => MediaSource::FileId { owner: Protocol::Chat, id: id.into_text(body), mime: None },
        (None, None) => return Err(missing(path.member("file.file_id"))),
    };
    Ok(document(source, file.filename.map(|name| name.into_text(body))))
}

/// Text of a `thinking` part, which holds a string or text parts.
pub(in crate::chat) fn thinking_text(thinking: Option<OneOrMany<'_, ContentPart<'_>>>) -> String {
    match thinking {
        None => String::new(),
        Some(OneOrMany::One(text)) => text.to_string(),
        Some(OneOrMany::Many(parts)) => parts.iter().filter_map(|part| part.text.as_deref()).collect(),
    }
}

/// A part of no known type, put together again.
fn opaque(kind: &str, part: ContentPart<'_>, body: &Text) -> RawJson {
    let mut out = Vec::new();
    JsonWriter::new(&mut out).object(|w| {
        w.str("type", kind);
        w.opt_str("text", part.text.as_deref());
        for (name, url) in
            [("image_url", &part.image_url), ("video_url", &part.video_url), ("document_url", &part.document_url)]
        {
            match url {
                Some(WordOr::Word(url)) => w.str(name, url),
                Some(WordOr::Object(_, raw)) => w.raw(name, &json::raw(raw, body)),
                None => {}
            }
        }
        if let Some(thinking) = part.thinking {
            w.str("thinking", &thinking_text(Some(thinking)));
        }
        w.extras(&json::extras(part.extra, body));
    });
    RawJson::from_valid(Text::try_from(out).unwrap_or_else(|_| Text::from_static("{}")))
}
