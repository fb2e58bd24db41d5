//! The suite on a Postgres of its own: the one of `POLYPORT_TEST_POSTGRES`, or a server that is started for the test.

use std::env;

use polyport_testkit::postgres::Postgres;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

use crate::place::Place;
use crate::{log, suite};

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_runs_on_postgres() {
    let Some(server) = Server::find().await else {
        eprintln!("skipped: no POLYPORT_TEST_POSTGRES and no Postgres on this machine");
        return;
    };
    for (name, test) in [suite::ALL, log::sums::ALL, log::pages::ALL, log::retention::ALL, log::times::ALL].concat() {
        eprintln!("{name}");
        test(Place::server(server.schema(name).await)).await;
    }
}

/// A running server.
pub(crate) struct Server {
    url: String,
    own: Option<Postgres>,
}

impl Server {
    /// The one that is given, or one that is started here.
    #[allow(clippy::disallowed_methods, reason = "a test has no configuration")]
    pub(crate) async fn find() -> Option<Self> {
        if let Ok(url) = env::var("POLYPORT_TEST_POSTGRES") {
            return Some(Self { url, own: None });
        }
        let own = tokio::task::spawn_blocking(Postgres::start).await.unwrap()?;
        Some(Self { url: own.url(), own: Some(own) })
    }

    async fn connect(&self) -> sqlx::Result<AnyConnection> {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.url).await
    }

    /// The address of a new, empty schema.
    pub(crate) async fn schema(&self, name: &str) -> String {
        let mut connection = self.connect().await.unwrap();
        let schema = format!("t_{name}");
        connection
            .execute(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")))
            .await
            .unwrap();
        connection.close().await.unwrap();
        let joint = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{joint}options[search_path]={schema}", self.url)
    }

    /// The server, if it was started here.
    pub(crate) fn own(&self) -> Option<&Postgres> {
        self.own.as_ref()
    }
}
