//! Large bodies on their way to a provider: they wait in a file, never whole in memory, until all of them is here. So a client that
//! stops in the middle leaves nothing at the provider, and an attempt that fails can be repeated.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use hyper::body::Incoming;
use polyport_provider::RequestBody;
use polyport_types::{Fault, FaultClass};

use super::body::{Arriving, BodyLimits};
use crate::tasks;

/// Up to this many bytes no file is made.
const IN_MEMORY: usize = 256 << 10;

/// Files are read and written in pieces of about this size.
const PIECE: usize = 256 << 10;

/// A whole body.
#[derive(Clone, Debug)]
pub(crate) enum Spool {
    Memory(Bytes),
    /// In a file without a name, which goes with its last handle.
    File {
        file: Arc<File>,
        length: u64,
    },
}

impl Spool {
    /// Reads a body to its end.
    ///
    /// # Errors
    /// As [`super::body::read`], and `NoUpstream` when there is no room for it.
    pub(crate) async fn read(head: &Parts, body: Incoming, limits: BodyLimits, folder: &Path) -> Result<Self, Fault> {
        let mut body = Arriving::new(head, body, limits)?;
        let mut waiting = BytesMut::new();
        let mut file = None;
        let mut length = 0;
        while let Some(data) = body.next().await? {
            length += data.len() as u64;
            waiting.extend_from_slice(&data);
            if waiting.len() >= PIECE.max(IN_MEMORY) {
                file = Some(append(file.take(), folder, waiting.split().freeze()).await?);
            }
        }
        match file {
            None => Ok(Self::Memory(waiting.freeze())),
            Some(file) => {
                let file = append(Some(file), folder, waiting.freeze()).await?;
                Ok(Self::File { file: Arc::new(file), length })
            }
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// Some of it, up to the end. Waits for the disk.
    pub(crate) fn slice(&self, range: Range<u64>) -> io::Result<Bytes> {
        let range = range.start.min(self.len())..range.end.min(self.len());
        match self {
            Self::Memory(bytes) => {
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                Ok(bytes.slice(place(range.start)..place(range.end.max(range.start))))
            }
            Self::File { file, .. } => {
                let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
                let mut piece = vec![0; length];
                read_at(file, &mut piece, range.start)?;
                Ok(piece.into())
            }
        }
    }

    /// The body as it is sent, with other bytes in the place of some.
    pub(crate) fn body(&self, change: Option<(Range<u64>, Bytes)>) -> RequestBody {
        let (range, new) = change.unwrap_or((0..0, Bytes::new()));
        if let Self::Memory(bytes) = self {
            if new.is_empty() && range.is_empty() {
                return bytes.clone().into();
            }
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            let mut out = BytesMut::with_capacity(bytes.len() + new.len());
            out.extend_from_slice(bytes.get(..place(range.start)).unwrap_or_default());
            out.extend_from_slice(&new);
            out.extend_from_slice(bytes.get(place(range.end)..).unwrap_or_default());
            return out.freeze().into();
        }
        let length = self.len() - (range.end - range.start) + new.len() as u64;
        let way = Way { spool: self.clone(), next: 0, range, new: Some(new) };
        let pieces =
            futures_util::stream::try_unfold(
                way,
                |mut way| async move { Ok(way.piece().await?.map(|piece| (piece, way))) },
            );
        RequestBody::of_pieces(pieces, length)
    }
}

/// How far a file has been read.
struct Way {
    spool: Spool,
    next: u64,
    /// What is left out.
    range: Range<u64>,
    /// What stands in its place, until it was given.
    new: Option<Bytes>,
}

impl Way {
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if self.next == self.range.start
            && let Some(new) = self.new.take()
        {
            self.next = self.range.end;
            if !new.is_empty() {
                return Ok(Some(new));
            }
        }
        let end = if self.new.is_some() { self.range.start } else { self.spool.len() };
        let piece = self.next..end.min(self.next + PIECE as u64);
        if piece.is_empty() {
            return Ok(None);
        }
        self.next = piece.end;
        let spool = self.spool.clone();
        let read = tasks::off_worker(move || spool.slice(piece)).await;
        read.unwrap_or_else(|| Err(io::Error::other("reading stopped"))).map(Some)
    }
}

/// Writes bytes at the end of a file, which is made if there is none.
async fn append(file: Option<File>, folder: &Path, bytes: Bytes) -> Result<File, Fault> {
    let folder = folder.to_owned();
    let written = tasks::off_worker(move || {
        let mut file = match file {
            Some(file) => file,
            None => make(&folder)?,
        };
        file.write_all(&bytes)?;
        Ok(file)
    });
    written.await.unwrap_or_else(|| Err(io::Error::other("writing stopped"))).map_err(|error: io::Error| {
        tracing::warn!(%error, "a large body cannot be kept until it is whole");
        Fault::new(FaultClass::NoUpstream, "the gateway has no room for a body of this size now")
            .with_retry_after(std::time::Duration::from_secs(30))
    })
}

/// A file without a name in the folder of everything that is written.
fn make(folder: &Path) -> io::Result<File> {
    crate::config::prepare_folder(folder)?;
    tempfile::tempfile_in(folder)
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
    while !into.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, into, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                at += count as u64;
                into = into.get_mut(count..).unwrap_or_default();
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use http_body_util::BodyExt as _;

    use super::*;

    async fn sent(spool: &Spool, change: Option<(Range<u64>, Bytes)>) -> Vec<u8> {
        let body = spool.body(change);
        let announced = hyper::body::Body::size_hint(&body).exact().unwrap();
        let bytes: Vec<Bytes> = body.into_data_stream().map(Result::unwrap).collect().await;
        let bytes = bytes.concat();
        assert_eq!(bytes.len() as u64, announced);
        bytes
    }

    #[tokio::test]
    async fn a_file_is_sent_with_its_changes() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..PIECE * 2 + 77).map(|at| (at % 251) as u8).collect();
        let file = append(None, folder.path(), Bytes::copy_from_slice(&bytes[..1000])).await.unwrap();
        let file = append(Some(file), folder.path(), Bytes::copy_from_slice(&bytes[1000..])).await.unwrap();
        let length = bytes.len() as u64;
        let on_disk = Spool::File { file: Arc::new(file), length };
        let in_memory = Spool::Memory(Bytes::copy_from_slice(&bytes));
        for spool in [on_disk, in_memory] {
            assert_eq!(sent(&spool, None).await, bytes);
            assert_eq!(&*spool.slice(length - 3..length + 9).unwrap(), &bytes[bytes.len() - 3..]);
            for (from, to) in [(0, 0), (0, 5), (10, 10), (PIECE - 1, PIECE + 1), (bytes.len() - 2, bytes.len())] {
                let change = (from as u64..to as u64, Bytes::from_static(b"new"));
                let mut expected = bytes.clone();
                expected.splice(from..to, *b"new");
                assert!(sent(&spool, Some(change)).await == expected, "{from}..{to}");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    }
}
