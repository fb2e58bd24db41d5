//! The store, on SQLite always and on Postgres where there is one.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

/// Each test on a file, and all of them by name for the test that has a server.
#[macro_export]
macro_rules! suite {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const ALL: &[(&str, fn($crate::place::Place) -> $crate::Running)] =
            &[$((stringify!($name), |place| Box::pin($name(place)))),+];

        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::place::Place::sqlite()).await;
            })+
        }
    };
}

type Running = std::pin::Pin<Box<dyn Future<Output = ()>>>;

mod backup;
mod faults;
mod foreign;
mod identity;
mod log;
mod place;
mod postgres;
mod suite;
