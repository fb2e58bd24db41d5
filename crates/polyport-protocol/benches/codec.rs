//! Cost of translation: a 63 KB agent request for every pair of protocols, and one streamed event for every pair.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    ClientContext, RequestHead, StreamDecoder, StreamEncoder, Target, decode_request, encode_request, resolve,
};
use polyport_types::{
    Authority, ClientProtocol, Event, FinishReason, FunctionTool, Instruction, Losses, Message, Part, PartId, PartKind,
    PartStart, PartStatus, Protocol, RawJson, Request, Role, StreamStart, Tool, ToolCall, ToolCallKind, ToolResult,
    Usage,
};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A coding agent's request: instructions, 16 tools, text, calls and results; about 63 KB on the wire.
fn agent_request(client: ClientProtocol) -> Request {
    let code = "    let value = compute(input, \"name\")?; // see above\n".repeat(14);
    let mut request = Request::new(client, "bench");
    request.limits.max_output_tokens = Some(8000);
    request.instructions.push(Instruction {
        authority: Authority::System,
        parts: vec![Part::text("You are a careful engineer.\n".repeat(120))],
        name: None,
        ext: polyport_types::Extras::new(),
    });
    for number in 0..16 {
        request.tools.push(Tool::Function(Box::new(FunctionTool {
            name: format!("tool_{number}").into(),
            description: Some("Reads or writes something in the workspace and says what it did. ".repeat(6).into()),
            schema: RawJson::parse(
                r#"{"type":"object","properties":{"path":{"type":"string","description":"Where"},"lines":{"type":"integer","minimum":1}},"required":["path"]}"#,
            )
            .ok(),
            ..FunctionTool::default()
        })));
    }
    for turn in 0..24_u32 {
        let id = format!("call_{turn:024}");
        request.messages.push(Message::new(Role::User, turn * 3, vec![Part::text(format!("Turn {turn}\n{code}"))]));
        let call = PartKind::ToolCall(Box::new(ToolCall {
            id: id.clone().into(),
            name: "tool_1".into(),
            namespace: None,
            kind: ToolCallKind::Function,
            arguments: r#"{"path":"src/main.rs","lines":20}"#.into(),
            caller: None,
            status: PartStatus::Complete,
        }));
        let words = Part::text("I read the file.\n");
        request.messages.push(Message::new(Role::Assistant, turn * 3 + 1, vec![words, Part::new(call)]));
        let result = PartKind::ToolResult(Box::new(ToolResult {
            call_id: id.into(),
            name: None,
            kind: ToolCallKind::Function,
            parts: vec![Part::text(code.clone())],
            structured: None,
            is_error: false,
        }));
        request.messages.push(Message::new(Role::Tool, turn * 3 + 2, vec![Part::new(result)]));
    }
    request.messages.push(Message::new(Role::User, 99, vec![Part::text("Now change it.")]));
    request
}

fn as_protocol(client: ClientProtocol) -> Protocol {
    client.into()
}

fn translate(target: &Target, request: Request) -> Vec<u8> {
    let mut losses = Losses::new();
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (request, _restore) = resolve(target, request, &context, &mut losses);
    encode_request(target, &request, &mut losses).body
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("request");
    for client in ClientProtocol::ALL {
        let own = Target::plain(as_protocol(client), "bench");
        let body = Bytes::from(translate(&own, agent_request(client)));
        let head = RequestHead { model: Some("bench".into()), ..RequestHead::default() };
        group.throughput(Throughput::Bytes(body.len() as u64));
        for provider in Protocol::ALL {
            let target = Target::plain(provider, "bench");
            group.bench_function(BenchmarkId::new(client.as_str(), provider.as_str()), |b| {
                b.iter(|| {
                    let request = decode_request(client, &head, body.clone()).expect("own encoding decodes");
                    translate(&target, request)
                });
            });
        }
    }
    group.finish();
}

const DELTAS: u32 = 1000;

fn stream_events() -> Vec<Event> {
    let part = PartId(0);
    let mut events = vec![
        Event::Start(Box::new(StreamStart { id: "r".into(), model: "bench".into(), ..StreamStart::default() })),
        Event::PartStart { part, choice: 0, start: PartStart::Text { item_id: None, phase: None } },
    ];
    events.extend((0..DELTAS).map(|_| Event::Delta { part, text: " a few words".into() }));
    events.push(Event::PartEnd { part, status: PartStatus::Complete });
    let usage = Usage { input_uncached: Some(20), output_text: Some(60), ..Usage::default() };
    events.push(Event::Usage(Box::new(usage)));
    events.push(Event::Finish(Box::new(polyport_types::Finish { reason: FinishReason::Stop, ..Default::default() })));
    events.push(Event::End);
    events
}

fn encoded_stream(client: ClientProtocol) -> Bytes {
    let context = ClientContext::fixed(Request::new(client, "bench"), as_protocol(client));
    let mut encoder = StreamEncoder::new(client, context);
    let mut out = Vec::new();
    for event in stream_events() {
        encoder.encode(event, &mut out);
    }
    Bytes::from(out)
}

fn streams(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream_1000_deltas");
    group.throughput(Throughput::Elements(u64::from(DELTAS)));
    for provider in ClientProtocol::ALL {
        let bytes = encoded_stream(provider);
        let target = Target::plain(as_protocol(provider), "bench");
        for client in ClientProtocol::ALL {
            group.bench_function(BenchmarkId::new(provider.as_str(), client.as_str()), |b| {
                b.iter_batched(
                    || ClientContext::fixed(Request::new(client, "bench"), as_protocol(provider)),
                    |context| {
                        let mut decoder = StreamDecoder::new(&target, 1 << 20);
                        let mut encoder = StreamEncoder::new(client, context);
                        let (mut events, mut out) = (Vec::new(), Vec::new());
                        // As the network delivers it: pieces of 1400 bytes.
                        let mut rest = bytes.clone();
                        while !rest.is_empty() {
                            let piece = rest.split_to(rest.len().min(1400));
                            decoder.push(piece, &mut events);
                            for event in events.drain(..) {
                                encoder.encode(event, &mut out);
                            }
                        }
                        decoder.finish(BodyEnd::Clean, &mut events);
                        for event in events.drain(..) {
                            encoder.encode(event, &mut out);
                        }
                        out
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, requests, streams);
criterion_main!(benches);
