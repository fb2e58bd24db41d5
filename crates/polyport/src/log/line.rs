//! A log line as text: `time LEVEL span{fields}: message name=value …`.
//!
//! The general formatter writes the same, but each value on its way through `fmt` and a boxed writer; a gateway that writes one line for
//! each request spends a tenth of its time there.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes lines without colours.
pub(super) struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // Put together here: each write to `to` is a call through a pointer.
        let mut line = String::with_capacity(512);
        let out = &mut line;
        write_time(out);
        out.push_str(match *event.metadata().level() {
            Level::TRACE => " TRACE ",
            Level::DEBUG => " DEBUG ",
            Level::INFO => "  INFO ",
            Level::WARN => "  WARN ",
            Level::ERROR => " ERROR ",
        });
        if let Some(scope) = context.event_scope() {
            for span in scope.from_root() {
                out.push_str(span.name());
                let extensions = span.extensions();
                if let Some(fields) = extensions.get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                    out.push('{');
                    out.push_str(fields);
                    out.push('}');
                }
                out.push(':');
            }
            out.push(' ');
        }
        let mut values = Values { out, first: true };
        event.record(&mut values);
        out.push('\n');
        to.write_str(&line)
    }
}

/// The time in the form of the general formatter: `2026-01-31T23:59:59.000001Z`. All but the fraction is put together once a second.
fn write_time(out: &mut String) {
    static SECOND: Mutex<(u64, String)> = Mutex::new((u64::MAX, String::new()));
    // A clock before 1970 shows its first second.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut second = SECOND.lock();
    if second.0 != now.as_secs() {
        let at = Timestamp::from_second(i64::try_from(now.as_secs()).unwrap_or(0)).unwrap_or_default();
        *second = (now.as_secs(), at.to_string());
    }
    out.push_str(second.1.trim_end_matches('Z'));
    drop(second);
    out.push('.');
    // With a digit before them, the six have their zeros.
    out.push_str(itoa::Buffer::new().format(1_000_000 + now.subsec_micros()).get(1..).unwrap_or_default());
    out.push('Z');
}

/// Writes the fields of a span the way [`Line`] writes those of an event.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut to: Writer<'w>, fields: R) -> fmt::Result {
        let mut out = String::with_capacity(128);
        fields.record(&mut Values { out: &mut out, first: true });
        to.write_str(&out)
    }
}

/// `name=value` with blanks between; the message without its name. A text is quoted where it could be taken for more than one value.
struct Values<'o> {
    out: &'o mut String,
    first: bool,
}

impl Values<'_> {
    fn name(&mut self, field: &Field) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(' ');
        }
        if field.name() != "message" {
            self.out.push_str(field.name());
            self.out.push('=');
        }
    }
}

impl Visit for Values<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
        if field.name() == "message" || (!value.is_empty() && value.bytes().all(plain)) {
            self.out.push_str(value);
        } else {
            // Writing to a String cannot fail.
            write!(self.out, "{value:?}").ok();
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.out.push_str(itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field);
        self.out.push_str(itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field);
        self.out.push_str(if value { "true" } else { "false" });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Where a line of the `log` crate was written.
        if field.name().starts_with("log.") {
            return;
        }
        self.name(field);
        // Writing to a String cannot fail.
        write!(self.out, "{value:?}").ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::{info, info_span};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_time_level_span_message_and_fields() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(Fields)
            .event_format(Line)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = info_span!("request", id = "abc", route = "chat");
            let shown = tracing::field::display("a b");
            span.in_scope(|| {
                info!(
                    count = 3_u64,
                    less = -1,
                    yes = true,
                    absent = None::<u64>,
                    odd = "x status=200\n",
                    shown,
                    "it ended"
                );
            });
            info!(path = "/v1", "alone");
        });
        let text = String::from_utf8(kept.0.lock().clone()).unwrap();
        for line in text.lines() {
            let time = line.split_once(' ').unwrap().0;
            assert_eq!(time.len(), "2026-01-31T23:59:59.000001Z".len(), "{time}");
            let at: Timestamp = time.parse().unwrap();
            assert!(Timestamp::now().duration_since(at).as_secs().abs() < 3600, "{time}");
        }
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(
            lines,
            [
                " INFO request{id=abc route=chat}: it ended count=3 less=-1 yes=true odd=\"x status=200\\n\" shown=a b",
                " INFO alone path=/v1",
            ]
        );
    }
}
