//! Streams of any protocol: provider bytes to events, events to client bytes.

use bytes::Bytes;
use polyport_types::{ClientProtocol, Event, Losses, Protocol, Signature, Text};

use crate::answer_losses::AnswerLosses;
use crate::context::{ClientContext, Target};
use crate::eventstream::{EventStream, Stopped, failure};
use crate::sse::{Frame, FrameError, Framing};
use crate::wires::Wire;
use crate::{chat, custom, gemini, messages, responses, warp};

/// Turns a provider's streamed bytes into events, however the network cuts them. Keeps the rules of `polyport_types::event`.
#[derive(Debug)]
pub struct StreamDecoder {
    reader: Reader,
    frames: Vec<Frame>,
    codec: Codec,
    /// Broken JSON payloads in a row; the third one ends the stream.
    broken: u32,
    ended: bool,
}

/// What cuts the body into frames.
#[derive(Debug)]
enum Reader {
    Lines(Framing),
    Aws(EventStream),
}

#[derive(Debug)]
enum Codec {
    Chat(chat::Decoder),
    Responses(responses::Decoder),
    Messages(messages::Decoder),
    Gemini(gemini::Decoder),
    Warp(warp::Decoder),
    Converse(messages::bedrock::ConverseDecoder),
    BedrockMessages(messages::bedrock::InvokeDecoder),
    Custom(Box<custom::Decoder>),
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// The connection delivered the whole body.
    Clean,
    /// It broke.
    Broken,
}

impl StreamDecoder {
    /// A decoder for the stream of `target`. `max_event` bounds one event in bytes.
    #[must_use]
    pub fn new(target: &Target, max_event: usize) -> Self {
        let codec = match &target.wire {
            // The envelope of Code Assist is looked through.
            Wire::Own | Wire::CodeAssist(_) => match target.protocol {
                Protocol::Chat => Codec::Chat(chat::Decoder::new(target)),
                Protocol::Responses => Codec::Responses(responses::Decoder::new(target)),
                Protocol::Messages => Codec::Messages(messages::Decoder::new(target)),
                Protocol::Gemini => Codec::Gemini(gemini::Decoder::new(target)),
            },
            Wire::Warp => Codec::Warp(warp::Decoder::new(target)),
            Wire::Converse => Codec::Converse(messages::bedrock::ConverseDecoder::new(target)),
            Wire::BedrockMessages => Codec::BedrockMessages(messages::bedrock::InvokeDecoder::new(target)),
            Wire::Custom(custom) => Codec::Custom(Box::new(custom::Decoder::new(custom, target))),
        };
        let reader = match target.wire.has_aws_streams() {
            true => Reader::Aws(EventStream::new(max_event)),
            false => Reader::Lines(Framing::new(max_event)),
        };
        Self { reader, frames: Vec::new(), codec, broken: 0, ended: false }
    }

    /// Takes the bytes that have arrived and appends their events to `out`.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        let mut frames = std::mem::take(&mut self.frames);
        let result = match &mut self.reader {
            Reader::Lines(framing) => framing.push(bytes, &mut frames).map_err(Stopped::from),
            Reader::Aws(stream) => stream.push(&bytes, &mut frames),
        };
        self.frames(&mut frames, out);
        self.frames = frames;
        if let Err(stopped) = result {
            self.fail(stopped, out);
        }
    }

    /// Takes the end of the body. The last event is always `End`.
    pub fn finish(&mut self, end: BodyEnd, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        let mut frames = std::mem::take(&mut self.frames);
        let truncated = match &mut self.reader {
            Reader::Lines(framing) => framing.finish(&mut frames),
            Reader::Aws(stream) => stream.finish(),
        };
        self.frames(&mut frames, out);
        if self.ended {
            return;
        }
        let broken = truncated || end == BodyEnd::Broken;
        match &mut self.codec {
            Codec::Chat(codec) => codec.finish(broken, out),
            Codec::Responses(codec) => codec.finish(broken, out),
            Codec::Messages(codec) => codec.finish(broken, out),
            Codec::Gemini(codec) => codec.finish(broken, out),
            Codec::Warp(codec) => codec.finish(broken, out),
            Codec::Converse(codec) => codec.finish(broken, out),
            Codec::BedrockMessages(codec) => codec.finish(broken, out),
            Codec::Custom(codec) => codec.finish(broken, out),
        }
        self.end(out);
    }

    /// Whether `End` was given out: further bytes are not read.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    fn frames(&mut self, frames: &mut Vec<Frame>, out: &mut Vec<Event>) {
        for frame in frames.drain(..) {
            if self.ended {
                break;
            }
            let understood = match &frame {
                Frame::Comment => {
                    out.push(Event::Ping);
                    continue;
                }
                Frame::Event { .. } => match &mut self.codec {
                    Codec::Chat(codec) => codec.event(&frame, out),
                    Codec::Responses(codec) => codec.event(&frame, out),
                    Codec::Messages(codec) => codec.event(&frame, out),
                    Codec::Gemini(codec) => codec.event(&frame, out),
                    Codec::Warp(codec) => codec.event(&frame, out),
                    Codec::Converse(codec) => codec.event(&frame, out),
                    Codec::BedrockMessages(codec) => codec.event(&frame, out),
                    Codec::Custom(codec) => codec.event(&frame, out),
                },
            };
            match understood {
                Step::Ok => self.broken = 0,
                Step::Unreadable => {
                    self.broken += 1;
                    if self.broken >= 3 {
                        self.fail(FrameError::Unreadable.into(), out);
                    }
                }
                Step::Done => self.end(out),
            }
        }
    }

    fn fail(&mut self, stopped: Stopped, out: &mut Vec<Event>) {
        // What comes after the last event is of no interest, readable or not.
        if self.ended {
            return;
        }
        out.push(Event::Error(Box::new(failure(stopped))));
        self.end(out);
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !self.ended {
            self.ended = true;
            out.push(Event::End);
        }
    }
}

/// What a codec made of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was understood (or knowingly ignored).
    Ok,
    /// Its data are not JSON of this protocol.
    Unreadable,
    /// The stream is over (final event or error): the caller appends `End`.
    Done,
}

/// Turns events into a client's bytes. A state machine per protocol: it cannot write an illegal sequence.
#[derive(Debug)]
pub struct StreamEncoder {
    writer: Writer,
    /// What cannot be said; between equal protocols all can.
    losses: Option<Box<AnswerLosses>>,
}

#[derive(Debug)]
enum Writer {
    Chat(Box<chat::Encoder>),
    Responses(Box<responses::Encoder>),
    Messages(Box<messages::Encoder>),
    Gemini(Box<gemini::Encoder>),
}

impl StreamEncoder {
    /// An encoder for a client.
    #[must_use]
    pub fn new(protocol: ClientProtocol, context: ClientContext) -> Self {
        let losses = AnswerLosses::between(context.provider, protocol).map(Box::new);
        let writer = match protocol {
            ClientProtocol::Chat => Writer::Chat(Box::new(chat::Encoder::new(context))),
            ClientProtocol::Responses => Writer::Responses(Box::new(responses::Encoder::new(context))),
            ClientProtocol::Messages => Writer::Messages(Box::new(messages::Encoder::new(context))),
            ClientProtocol::Gemini => Writer::Gemini(Box::new(gemini::Encoder::new(context))),
        };
        Self { writer, losses }
    }

    /// Lets go of what an encoder needs of the request only when it is made, which may be megabytes: the conversation and the tools.
    /// Does nothing where others hold the request too, or where answers repeat it.
    pub fn forget_history(&mut self) {
        match &mut self.writer {
            Writer::Chat(encoder) => encoder.context.forget_history(),
            Writer::Messages(encoder) => encoder.context.forget_history(),
            Writer::Gemini(encoder) => encoder.context.forget_history(),
            Writer::Responses(_) => {}
        }
    }

    /// Appends what `event` means for the client to `out`; often nothing.
    pub fn encode(&mut self, event: Event, out: &mut Vec<u8>) {
        if let Some(losses) = &mut self.losses {
            losses.event(&event);
        }
        match &mut self.writer {
            Writer::Chat(encoder) => encoder.encode(event, out),
            Writer::Responses(encoder) => encoder.encode(event, out),
            Writer::Messages(encoder) => encoder.encode(event, out),
            Writer::Gemini(encoder) => encoder.encode(event, out),
        }
    }

    /// Appends the protocol's keep-alive; nothing where none is safe.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        match &mut self.writer {
            Writer::Chat(_) | Writer::Responses(_) => out.extend_from_slice(b": ping\n\n"),
            Writer::Messages(encoder) => encoder.keep_alive(out),
            Writer::Gemini(encoder) => encoder.keep_alive(out),
        }
    }

    /// Whether the answer is complete but for a usage that the provider may still send: the server waits two seconds at most and
    /// then calls [`Self::flush_held`].
    #[must_use]
    pub fn is_holding(&self) -> bool {
        match &self.writer {
            Writer::Messages(encoder) => encoder.is_holding(),
            Writer::Chat(_) | Writer::Responses(_) | Writer::Gemini(_) => false,
        }
    }

    /// Ends an answer that only waits for its usage.
    pub fn flush_held(&mut self, out: &mut Vec<u8>) {
        match &mut self.writer {
            Writer::Messages(encoder) => encoder.flush_held(out),
            Writer::Chat(_) | Writer::Responses(_) | Writer::Gemini(_) => {}
        }
    }

    /// Value of the `content-type` header.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match &self.writer {
            Writer::Chat(_) | Writer::Responses(_) | Writer::Messages(_) => "text/event-stream; charset=utf-8",
            Writer::Gemini(encoder) => encoder.content_type(),
        }
    }

    /// What the client could not be told so far; the next call gives what came after.
    pub fn take_losses(&mut self) -> Losses {
        self.losses.as_mut().map_or_else(Losses::new, |losses| losses.take())
    }

    /// Signatures this client cannot carry itself, by tool call id or [`text_anchor`](crate::carrier::text_anchor): the server keeps
    /// them in its side table.
    pub fn take_signatures(&mut self) -> Vec<(Text, Vec<Signature>)> {
        match &mut self.writer {
            Writer::Chat(encoder) => encoder.take_signatures(),
            Writer::Messages(encoder) => encoder.take_signatures(),
            Writer::Responses(_) | Writer::Gemini(_) => Vec::new(),
        }
    }
}
