//! A provider of canned Chat answers, as cheap as possible.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Chunks of a streamed answer.
pub(crate) const CHUNKS: usize = 64;

/// Listens on a free port, prints it, and answers for ever.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(async move {
            // A connection the load generator drops is no failure.
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service_fn(answer))
                .await
                .ok();
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    // Members of a small body stand anywhere; in a large one the flag stands at the end, and only that is searched, so that a
    // large prompt costs nothing here.
    let searched = body.slice(body.len().saturating_sub(4096)..);
    let has = |needle: &[u8]| searched.windows(needle.len()).any(|window| window == needle);
    let (streams, idle) = (has(b"\"stream\":true"), has(b"\"model\":\"idle\""));
    let (kind, body) = match (streams, idle) {
        (true, true) => ("text/event-stream", idle_stream()),
        (true, false) => ("text/event-stream", stream()),
        (false, _) => ("application/json", Full::new(Bytes::from_static(WHOLE.as_bytes())).boxed()),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    Ok(response)
}

fn stream() -> BoxBody<Bytes, Infallible> {
    let first = chunk(r#"{"role":"assistant","content":""}"#, "null");
    let middle = (0..CHUNKS - 2).map(|_| chunk(r#"{"content":" a few words"}"#, "null"));
    let last = Bytes::from(format!(
        "{}data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\"choices\":[],\"usage\":{USAGE}}}\n\ndata: [DONE]\n\n",
        String::from_utf8_lossy(&chunk("{}", "\"stop\""))
    ));
    let chunks: Vec<Bytes> = std::iter::once(first).chain(middle).chain(std::iter::once(last)).collect();
    // Yielding between chunks makes each its own write, as a model's tokens are.
    let frames = futures_util::stream::iter(chunks).then(|bytes| async {
        tokio::task::yield_now().await;
        Ok(Frame::data(bytes))
    });
    BodyExt::boxed(StreamBody::new(Box::pin(frames)))
}

fn idle_stream() -> BoxBody<Bytes, Infallible> {
    let first = chunk(r#"{"role":"assistant","content":"one"}"#, "null");
    let frames = futures_util::stream::once(async { Ok(Frame::data(first)) }).chain(futures_util::stream::pending());
    BodyExt::boxed(StreamBody::new(frames))
}

fn chunk(delta: &str, finish: &str) -> Bytes {
    Bytes::from(format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"bench\",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
    ))
}

const USAGE: &str = r#"{"prompt_tokens":20,"completion_tokens":60,"total_tokens":80,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}"#;

const WHOLE: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog while the developers measure how long it takes to carry these words from one end of the wire to the other, and nobody is surprised that most of the time goes into copying them between the kernel and the process.\nThe second line exists so that there is an escape in the text, as there is in nearly every answer of a real model.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":60,"total_tokens":80,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":null}"#;
