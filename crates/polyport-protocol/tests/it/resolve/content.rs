//! Media and the shape of the answer.

use polyport_protocol::profile::{ImageInput, JsonMode};
use polyport_types::{
    ClientProtocol, Document, DocumentSource, LossAction, LossCode, Media, MediaSource, Part, PartKind, Protocol,
    RawJson, ReasoningControl, ReasoningMode, Request, ResponseFormat, Role, Severity, Text, Tool, ToolChoice, ToolRef,
};

use super::support::*;

fn inline(mime: &str) -> MediaSource {
    MediaSource::Base64 { mime: mime.into(), data: "SGk=".into() }
}

fn address(url: &str) -> MediaSource {
    MediaSource::Url { url: url.into(), mime: None }
}

fn file_of(owner: Protocol) -> MediaSource {
    MediaSource::FileId { owner, id: "file-1".into(), mime: None }
}

fn image(source: MediaSource) -> Part {
    Part::new(PartKind::Image(Media::new(source)))
}

fn document(source: DocumentSource) -> Part {
    Part::new(PartKind::Document(Box::new(Document {
        source,
        filename: None,
        title: Some("Report".into()),
        context: None,
        citations: None,
        detail: None,
    })))
}

fn file(source: MediaSource) -> Part {
    document(DocumentSource::File(source))
}

fn send(source: ClientProtocol, target: &polyport_protocol::Target, part: Part) -> Outcome {
    run(target, with(source, vec![says(Role::User, vec![Part::text("Look"), part])]))
}

/// The code for which the request is refused, if it is.
fn refusal(source: ClientProtocol, target: &polyport_protocol::Target, part: Part) -> Option<&'static str> {
    let outcome = send(source, target, part);
    outcome.losses.entries().iter().find(|loss| loss.severity == Severity::Error).map(|loss| loss.code.as_str())
}

#[test]
fn media_that_cannot_be_carried_refuse_the_request() {
    use ClientProtocol::{Chat, Gemini, Messages};
    let at = plain;
    const MEDIA: Option<&str> = Some("media.unsupported");
    const FOREIGN: Option<&str> = Some("file_id.foreign");
    let audio = |mime| Part::new(PartKind::Audio(Media::new(inline(mime))));
    let video = || Part::new(PartKind::Video(Media::new(inline("video/mp4"))));

    assert_eq!(refusal(Chat, &at(Protocol::Messages), image(inline("image/png"))), None);
    assert_eq!(refusal(Chat, &at(Protocol::Messages), image(inline("image/bmp"))), MEDIA);
    assert_eq!(refusal(Chat, &at(Protocol::Responses), image(inline("image/bmp"))), None);
    assert_eq!(refusal(Messages, &at(Protocol::Chat), image(file_of(Protocol::Messages))), FOREIGN);
    assert_eq!(refusal(Gemini, &at(Protocol::Messages), image(address("gs://bucket/a.png"))), FOREIGN);
    assert_eq!(refusal(Gemini, &at(Protocol::Gemini), image(address("gs://bucket/a.png"))), None);
    assert_eq!(refusal(Chat, &at(Protocol::Gemini), image(address("https://a.org/a.png"))), None);

    assert_eq!(refusal(Gemini, &at(Protocol::Messages), audio("audio/wav")), MEDIA);
    assert_eq!(refusal(Gemini, &at(Protocol::Responses), audio("audio/wav")), MEDIA);
    assert_eq!(refusal(Gemini, &at(Protocol::Chat), audio("audio/wav")), None);
    assert_eq!(refusal(Gemini, &at(Protocol::Chat), audio("audio/flac")), MEDIA);
    assert_eq!(refusal(Chat, &at(Protocol::Gemini), audio("audio/wav")), None);
    for target in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
        assert_eq!(refusal(Gemini, &at(target), video()), MEDIA);
    }
    assert_eq!(refusal(Gemini, &at(Protocol::Gemini), video()), None);

    assert_eq!(refusal(Gemini, &at(Protocol::Messages), file(inline("application/pdf"))), None);
    assert_eq!(refusal(Gemini, &at(Protocol::Messages), file(inline("application/msword"))), MEDIA);
    assert_eq!(refusal(Messages, &at(Protocol::Chat), file(address("https://a.org/a.pdf"))), MEDIA);
    assert_eq!(refusal(Messages, &at(Protocol::Responses), file(address("https://a.org/a.pdf"))), None);
    assert_eq!(
        refusal(Chat, &at(Protocol::Responses), file(file_of(Protocol::Chat))),
        None,
        "one provider, two protocols"
    );

    let blind = able(Protocol::Chat, |abilities| abilities.images = false);
    assert_eq!(refusal(Chat, &blind, image(inline("image/png"))), MEDIA);
    let local = quirky(Protocol::Chat, |profile| (profile.image_input, profile.file_input) = (ImageInput::Data, false));
    assert_eq!(refusal(Messages, &local, image(inline("image/png"))), None);
    assert_eq!(refusal(Messages, &local, image(address("https://a.org/a.png"))), MEDIA);
    assert_eq!(refusal(Messages, &local, file(inline("application/pdf"))), MEDIA);
    let offline = able(Protocol::Messages, |abilities| abilities.url_media = false);
    let outcome = send(Chat, &offline, image(address("https://a.org/a.png")));
    assert!(outcome.detail(LossCode::MediaUnsupported).contains("fetching is off"));
    assert_eq!(outcome.losses.entries().iter().find(|l| l.severity == Severity::Error).unwrap().path, "/messages/0");
}

#[test]
fn a_picture_in_a_result_is_checked_as_well() {
    let history = vec![
        user("Go"),
        assistant(vec![call("a", "f", "{}")]),
        results(vec![result_of("a", vec![image(inline("image/tiff"))])]),
    ];
    assert!(run(&plain(Protocol::Messages), with(ClientProtocol::Chat, history)).refused(LossCode::MediaUnsupported));
}

#[test]
fn jpg_is_jpeg() {
    let outcome = send(ClientProtocol::Chat, &plain(Protocol::Messages), image(inline("image/jpg")));
    let PartKind::Image(media) = &outcome.request.messages[0].parts[1].kind else { panic!() };
    assert_eq!(media.source.mime(), Some("image/jpeg"));
}

#[test]
fn documents_of_text_are_text_where_they_are_no_files() {
    let lines = |source, target, part| {
        let outcome = send(source, &plain(target), part);
        outline(&outcome.request)[0].clone()
    };
    let text = || document(DocumentSource::PlainText("Words".into()));
    assert_eq!(lines(ClientProtocol::Messages, Protocol::Chat, text()), "user: look | report | words");
    assert_eq!(lines(ClientProtocol::Messages, Protocol::Messages, text()), "user: look | [document]");
    let blocks = document(DocumentSource::Blocks(vec![Part::text("One"), image(inline("image/png"))]));
    assert_eq!(lines(ClientProtocol::Messages, Protocol::Gemini, blocks), "user: look | report | one | [image]");
    // Inline text needs no file either way.
    assert_eq!(lines(ClientProtocol::Gemini, Protocol::Chat, file(inline("text/csv"))), "user: look | report | hi");
    let outcome = send(ClientProtocol::Gemini, &plain(Protocol::Messages), file(inline("text/csv; charset=utf-8")));
    let PartKind::Document(document) = &outcome.request.messages[0].parts[1].kind else { panic!() };
    assert_eq!(document.source, DocumentSource::PlainText("Hi".into()));

    let mut cited = file(inline("application/pdf"));
    if let PartKind::Document(document) = &mut cited.kind {
        (document.citations, document.context) = (Some(true), Some("From 2020.".into()));
    }
    let outcome = send(ClientProtocol::Messages, &plain(Protocol::Responses), cited);
    assert_eq!(outline(&outcome.request), ["user: look | from 2020. | [document]"]);
    assert!(outcome.has(LossCode::CitationDropped, LossAction::Dropped));
}

fn json(text: &'static str) -> RawJson {
    RawJson::from_valid(Text::from_static(text))
}

const PERSON: &str = r#"{"type":"object","properties":{"age":{"type":"integer","minimum":0}},"required":["age"],"additionalProperties":false}"#;

fn shaped(source: ClientProtocol, schema: &'static str, strict: Option<bool>) -> Request {
    let format = ResponseFormat::JsonSchema { name: None, description: None, schema: json(schema), strict };
    Request { response_format: Some(format), ..request(source) }
}

fn schema_of(outcome: &Outcome) -> (serde_json::Value, Option<bool>, Option<String>) {
    match &outcome.request.response_format {
        Some(ResponseFormat::JsonSchema { schema, strict, name, .. }) => {
            (schema.to_value(), *strict, name.as_ref().map(ToString::to_string))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn schemas_are_enforced_in_the_dialect_of_the_target() {
    let outcome = run(&plain(Protocol::Messages), shaped(ClientProtocol::Chat, PERSON, Some(true)));
    assert_eq!(
        schema_of(&outcome).0["properties"]["age"],
        serde_json::json!({"type": "integer", "description": "(minimum: 0)"})
    );
    assert!(outcome.has(LossCode::FormatSchemaRelaxed, LossAction::Degraded));

    let outcome = run(&plain(Protocol::Responses), shaped(ClientProtocol::Messages, PERSON, Some(true)));
    assert_eq!((schema_of(&outcome).1, schema_of(&outcome).2.as_deref()), (Some(true), Some("response")));
    let optional = r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#;
    let outcome = run(&plain(Protocol::Chat), shaped(ClientProtocol::Messages, optional, Some(true)));
    assert_eq!(schema_of(&outcome).1, Some(false), "optional properties do not fit");
    assert!(outcome.losses.is_empty());

    let outcome = run(&plain(Protocol::Gemini), shaped(ClientProtocol::Chat, PERSON, Some(false)));
    assert_eq!(schema_of(&outcome).0["properties"]["age"]["minimum"], 0);

    let mut described = shaped(ClientProtocol::Chat, PERSON, None);
    if let Some(ResponseFormat::JsonSchema { description, name, .. }) = &mut described.response_format {
        (*description, *name) = (Some("A person.".into()), Some("bad name!".into()));
    }
    let outcome = run(&plain(Protocol::Gemini), described.clone());
    assert_eq!(schema_of(&outcome).0["description"], "A person.");
    assert_eq!(schema_of(&run(&plain(Protocol::Responses), described)).2.as_deref(), Some("bad_name_"));
}

#[test]
fn answers_that_are_no_objects_are_wrapped_where_only_objects_are_known() {
    let list = r#"{"type":"array","items":{"type":"string"}}"#;
    for target in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
        let outcome = run(&plain(target), shaped(ClientProtocol::Gemini, list, None));
        assert_eq!(schema_of(&outcome).0["properties"]["value"]["type"], "array", "{target}");
        assert_eq!(outcome.restore.unwrap_member.as_deref(), Some("value"));
        assert!(!outcome.restore.unwrap_string);
        assert!(outcome.has(LossCode::FormatEmulated, LossAction::Emulated));
    }
    let outcome = run(&plain(Protocol::Gemini), shaped(ClientProtocol::Chat, list, None));
    assert_eq!(schema_of(&outcome).0["type"], "array");
    assert!(outcome.restore.is_empty());
}

#[test]
fn one_of_some_words_is_a_member_elsewhere() {
    let words = ResponseFormat::Enum { schema: json(r#"{"type":"string","enum":["Yes","No"]}"#) };
    let asking = || Request { response_format: Some(words.clone()), ..request(ClientProtocol::Gemini) };
    for target in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
        let outcome = run(&plain(target), asking());
        assert_eq!(schema_of(&outcome).0["properties"]["value"]["enum"], serde_json::json!(["Yes", "No"]));
        assert!(outcome.restore.unwrap_string && outcome.restore.unwrap_member.is_some());
    }
    assert_eq!(run(&plain(Protocol::Gemini), asking()).request.response_format, Some(words));
}

#[test]
fn a_model_without_structured_answers_gives_them_through_a_tool() {
    let target = able(Protocol::Messages, |abilities| abilities.structured_output = false);
    let answer = || Some("json_response");
    let named = || ToolChoice::Tool(ToolRef { name: "json_response".into(), custom: false });

    let outcome = run(&target, shaped(ClientProtocol::Chat, PERSON, None));
    assert_eq!(outcome.restore.answer_tool.as_deref(), answer());
    assert_eq!(outcome.request.tool_choice, Some(named()));
    assert_eq!(outcome.request.parallel_tool_calls, Some(false));
    assert_eq!(outcome.request.response_format, None);
    assert!(outcome.has(LossCode::FormatEmulated, LossAction::Emulated));

    let mut beside = shaped(ClientProtocol::Chat, PERSON, None);
    beside.tools = vec![plain_function("find"), plain_function("json_response")];
    let outcome = run(&target, beside.clone());
    assert_eq!(outcome.restore.answer_tool.as_deref(), Some("json_response_2"));
    assert_eq!(outcome.request.tool_choice, Some(ToolChoice::Required));

    let mut forced = beside.clone();
    forced.tool_choice = Some(ToolChoice::Tool(ToolRef { name: "find".into(), custom: false }));
    let outcome = run(&target, forced);
    assert_eq!(outcome.restore.answer_tool, None);
    assert!(outcome.has(LossCode::FormatUnsupported, LossAction::Dropped));

    let mut thinking = shaped(ClientProtocol::Messages, PERSON, None);
    thinking.limits.max_output_tokens = Some(4000);
    thinking.reasoning =
        Some(ReasoningControl { mode: ReasoningMode::On, budget_tokens: Some(2000), ..ReasoningControl::default() });
    let outcome = run(&target, thinking);
    assert_eq!(outcome.request.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(outcome.request.instructions.len(), 1);

    // Older Gemini models do not combine both.
    let older = able(Protocol::Gemini, |abilities| abilities.structured_with_tools = false);
    let outcome = run(&older, beside);
    assert!(outcome.restore.answer_tool.is_some());
    let outcome = run(&older, shaped(ClientProtocol::Chat, PERSON, None));
    assert!(outcome.restore.answer_tool.is_none());
}

#[test]
fn servers_with_less_get_the_schema_in_words() {
    let mode = |mode| quirky(Protocol::Chat, |profile| profile.json_mode = mode);
    let words = |outcome: &Outcome| outcome.request.instructions[0].parts[0].as_text().unwrap().to_string();

    let outcome = run(&mode(JsonMode::Object), shaped(ClientProtocol::Chat, PERSON, Some(true)));
    assert_eq!(outcome.request.response_format, Some(ResponseFormat::JsonObject));
    assert!(words(&outcome).contains("JSON Schema") && words(&outcome).contains("\"minimum\":0"));
    let outcome = run(&mode(JsonMode::None), shaped(ClientProtocol::Messages, PERSON, None));
    assert_eq!(outcome.request.response_format, None);
    assert!(words(&outcome).contains("\"minimum\":0"));
    assert!(outcome.has(LossCode::FormatEmulated, LossAction::Emulated));
}

#[test]
fn any_json_object() {
    let asking = |source| Request { response_format: Some(ResponseFormat::JsonObject), ..request(source) };
    let outcome = run(&plain(Protocol::Messages), asking(ClientProtocol::Chat));
    assert_eq!(outcome.request.response_format, None);
    assert_eq!(outcome.request.instructions.len(), 1);
    // OpenAI refuses it unless the word is said; its own clients know.
    assert_eq!(run(&plain(Protocol::Chat), asking(ClientProtocol::Gemini)).request.instructions.len(), 1);
    let mut said = asking(ClientProtocol::Gemini);
    said.messages = vec![user("Give me Json.")];
    assert!(run(&plain(Protocol::Chat), said).request.instructions.is_empty());
    assert!(run(&plain(Protocol::Responses), asking(ClientProtocol::Chat)).request.instructions.is_empty());
}

#[test]
fn citations_do_not_stand_beside_a_structured_answer() {
    let mut cited = file(inline("application/pdf"));
    if let PartKind::Document(document) = &mut cited.kind {
        document.citations = Some(true);
    }
    let mut request = shaped(ClientProtocol::Chat, PERSON, None);
    request.messages[0].parts.push(cited);
    let outcome = run(&plain(Protocol::Messages), request);
    assert!(outcome.has(LossCode::CitationDropped, LossAction::Dropped));
}

#[test]
fn the_answer_tool_is_a_function_like_others() {
    let target = able(Protocol::Messages, |abilities| abilities.structured_output = false);
    let outcome = run(&target, shaped(ClientProtocol::Gemini, r#"{"type":"string"}"#, None));
    let [Tool::Function(tool)] = &outcome.request.tools[..] else { panic!() };
    assert_eq!(tool.schema.as_ref().unwrap().to_value()["required"], serde_json::json!(["value"]));
    assert_eq!(outcome.restore.unwrap_member.as_deref(), Some("value"));
}
