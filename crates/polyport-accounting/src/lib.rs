//! Accounting: what an answer used, what that costs, and whether a caller may have more.
//!
//! Pure: no files, sockets, clock or randomness. Nothing is ever guessed: a price that is in no list is unknown, and whoever asks is told.
//!
//! | module | what is in it |
//! |---|---|
//! | [`class`] | [`Class`]: the disjoint kinds of things that are counted and priced |
//! | [`counts`] | [`Counts`]: the usage of an answer in these classes |
//! | [`decimal`] | [`Decimal`], [`Money`]: exact numbers |
//! | [`price`] | [`Price`]: what a piece of each class costs, by service tier and length of the prompt |
//! | [`table`] | [`Table`]: the shipped prices |
//! | [`book`] | [`Book`]: the shipped prices with changes of the operator |
//! | [`cost`](mod@cost) | [`cost()`]: counts and a price give a [`Cost`] |
//! | [`limits`] | [`Account`]s with [`Limit`]s: reserve before, settle after |
#![warn(missing_docs)]

pub mod book;
pub mod class;
pub mod cost;
pub mod counts;
pub mod decimal;
pub mod limits;
pub mod price;
pub mod table;

pub use book::{Book, Offer, Override, OverrideError};
pub use class::{Class, ClassSet, PerClass};
pub use cost::{Context, Cost, Exchange, cost};
pub use counts::Counts;
pub use decimal::{Decimal, DecimalError, Money};
pub use limits::{Account, Limit, Refused, Reservation, Reset, Standing, Tightest, Use, Window};
pub use price::{Currency, Price, Region, Section, ServiceTier, UnknownCurrency};
pub use table::Table;
